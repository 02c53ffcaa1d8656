import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { type Behavior, createMediator, fail, handle, ok, query, type } from "@catga/catga";
import { validate } from "@catga/catga/behaviors";
import { fakeRuntime, watch } from "./fake_runtime.ts";

let checks = 0;
const Name = v.pipe(
  v.string(),
  v.transform((text) => text.trim()),
  v.check((text) => {
    checks++;
    return text !== "";
  }, "empty"),
);
const Greet = query("greet", {
  input: v.object({ name: Name }),
  output: v.object({ text: v.string() }),
  errors: { OWN: type<number>() },
});
const SlowGreet = query("greet.slow", {
  input: type<string>(),
  output: v.pipeAsync(v.string(), v.checkAsync((text) => Promise.resolve(text !== "bad"), "bad")),
});

function app(answer: (name: string) => unknown, output: boolean, inner: readonly Behavior[] = []) {
  return createMediator({
    runtime: fakeRuntime(),
    behaviors: [validate({ output }), ...inner],
    handlers: [
      handle(Greet, ({ name }) => answer(name) as { text: string }),
      handle(SlowGreet, (text) => text),
    ],
  });
}

describe("validate", () => {
  test("checks a body before the behaviors further in, and only once", async () => {
    let passed = 0;
    const counting: Behavior = (next) => (context) => {
      passed++;
      return next(context);
    };
    const greeter = app((name) => ({ text: `Hello ${name}` }), false, [counting]);
    checks = 0;
    expect(await greeter.send(Greet({ name: " Ada " }))).toEqual(ok({ text: "Hello Ada" }));
    expect([checks, passed]).toEqual([1, 1]);
    expect(await greeter.send(Greet({ name: "  " }))).toMatchObject({
      error: {
        code: "VALIDATION",
        retryable: false,
        data: { issues: [{ path: ["name"], message: "empty" }] },
      },
    });
    expect([checks, passed]).toEqual([2, 1]);
  });

  test("the behaviors further in see the body as parsed", async () => {
    const seen: unknown[] = [];
    const looking: Behavior = (next) => (context) => {
      seen.push(context.body);
      return next(context);
    };
    await app(() => ({ text: "" }), false, [looking]).send(Greet({ name: " Ada " }));
    expect(seen).toEqual([{ name: "Ada" }]);
  });

  test("with output, an answer that does not fit is INTERNAL and says where", async () => {
    const bad = await app(() => ({ text: 5 }), true).send(Greet({ name: "Ada" }));
    expect(bad).toMatchObject({
      ok: false,
      error: { code: "INTERNAL", retryable: false, data: { issues: [{ path: ["text"] }] } },
    });
    expect((bad as { error: { message: string } }).error.message).toContain('"greet"');
  });

  test("with output, what fits and what failed passes as it is", async () => {
    const answer = { text: "Hello", more: true };
    expect(await app(() => answer, true).send(Greet({ name: "Ada" }))).toEqual(ok(answer));
    expect(await watch(app(() => fail("OWN", 1), true).send(Greet({ name: "Ada" }))).done).toBe("OWN");
    expect(await watch(app(() => answer, true).send(Greet({ name: " " }))).done).toBe("VALIDATION");
  });

  test("without output, answers are not looked at", async () => {
    expect(await watch(app(() => ({ text: 5 }), false).send(Greet({ name: "Ada" }))).done).toBe("ok");
    expect(await watch(app(() => null, false).send(Greet({ name: "Ada" }))).done).toBe("ok");
  });

  test("waits for a schema that takes its time", async () => {
    const slow = app(() => null, true);
    expect(await slow.send(SlowGreet("good"))).toEqual(ok("good"));
    expect(await watch(slow.send(SlowGreet("bad"))).done).toBe("INTERNAL");
  });

  test("a schema that throws is INTERNAL here", async () => {
    const throwing = v.pipe(
      v.string(),
      v.transform((): string => {
        throw new Error("x");
      }),
    );
    const In = query("throwing.in", { input: throwing, output: type<number>() });
    const Out = query("throwing.out", { input: type<string>(), output: throwing });
    const both = createMediator({
      runtime: fakeRuntime(),
      behaviors: [validate({ output: true })],
      handlers: [handle(In, () => 1), handle(Out, () => "x")],
    });
    expect(await watch(both.send(In("x"))).done).toBe("INTERNAL");
    expect(await watch(both.send(Out("x"))).done).toBe("INTERNAL");
  });
});
