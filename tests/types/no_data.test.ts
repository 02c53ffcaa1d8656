import { expect, test } from "bun:test";
import { command, createMediator, fail, type Failure, type Fault, handle, type } from "@catga/catga";

const Find = command("find", {
  input: type<number>(),
  output: type<string>(),
  errors: {
    GONE: type<void>(),
    NONE: type<undefined>(),
    MAYBE: type<{ readonly n: number } | undefined>(),
  },
});

test("a failure that has no data is made by its code alone, wherever a handler returns it", async () => {
  const handlers = [
    handle(Find, () => fail("GONE")),
    handle(Find, () => fail("NONE")),
    handle(Find, () => fail("MAYBE")),
    handle(Find, () => fail("MAYBE", { n: 1 })),
    handle(Find, () => fail("GONE", undefined, "It is gone")),
    handle(Find, (n) => n > 1 ? "x" : fail("GONE")),
    handle(Find, async (n) => {
      await null;
      if (n > 1) return "x";
      return fail("GONE");
    }),
  ];
  const codes: string[] = [];
  for (const one of handlers) {
    const result = await createMediator({ handlers: [one] }).send(Find(1));
    codes.push(result.ok ? "ok" : result.error.code);
  }
  expect(codes).toEqual(["GONE", "NONE", "MAYBE", "MAYBE", "GONE", "GONE", "GONE"]);
  const made: Failure<Fault<"GONE", undefined>> = fail("GONE");
  expect(made.error.data).toBeUndefined();
});
