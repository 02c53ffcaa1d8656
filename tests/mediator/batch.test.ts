import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { command, createMediator, fail, handle, type, unwrap } from "@catga/catga";
import { log, validate } from "@catga/catga/behaviors";
import { systemRuntime } from "@catga/catga/ports";

interface Task {
  readonly n: number;
  readonly how: "value" | "later" | "fail" | "throw" | "reject";
}

const Do = command("do", { input: type<Task>(), output: type<number>(), errors: { NO: type<number>() } });

async function act({ n, how }: Task) {
  if (how === "later") await new Promise((resolve) => setTimeout(resolve, 1));
  if (how === "fail") return fail("NO", n);
  if (how === "reject") throw new Error("no");
  return n;
}

const runtime = systemRuntime({ log: () => {} });
const handler = handle(Do, (task) => {
  if (task.how === "value") return task.n;
  if (task.how === "throw") throw new Error("no");
  return act(task);
});
const bare = createMediator({ runtime, handlers: [handler] });
const layered = createMediator({
  runtime,
  handlers: [handler],
  behaviors: [log(), validate({ output: true })],
});

const tasks = fc.array(
  fc.record({
    n: fc.nat(),
    how: fc.constantFrom("value", "later", "fail", "throw", "reject"),
  }) as fc.Arbitrary<Task>,
  { maxLength: 40 },
);
const expected = ({ n, how }: Task) =>
  how === "fail" ? `NO ${n}` : how === "throw" || how === "reject" ? "INTERNAL" : n;

describe("sendAll", () => {
  test.each([["bare", bare], ["layered", layered]] as const)(
    "answers each, in order (%s)",
    async (_name, app) => {
      await fc.assert(
        fc.asyncProperty(tasks, fc.option(fc.integer({ min: 1, max: 50 })), async (all, concurrency) => {
          const options = concurrency === null ? undefined : { concurrency };
          const results = await app.sendAll(all.map((task) => Do(task)), options);
          const got = results.map((result) =>
            result.ok
              ? result.value
              : result.error.code === "NO"
              ? `NO ${result.error.data}`
              : result.error.code
          );
          expect(got).toEqual(all.map(expected));
        }),
        { numRuns: 60 },
      );
    },
  );

  test("a message that nobody serves fails alone", async () => {
    const Other = command("other", { input: type<void>(), output: type<void>() });
    const results = await bare.sendAll([Do({ n: 1, how: "value" }), Other(), Do({ n: 2, how: "later" })]);
    expect(results.map((result) => result.ok ? result.value : result.error.code)).toEqual([
      1,
      "NO_HANDLER",
      2,
    ]);
  });

  test("keeps to its concurrency", async () => {
    let running = 0;
    let most = 0;
    const Work = command("work", { input: type<number>(), output: type<number>() });
    const app = createMediator({
      handlers: [handle(Work, async (n) => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        running--;
        return n;
      })],
    });
    const results = await app.sendAll(Array.from({ length: 50 }, (_, n) => Work(n)), { concurrency: 7 });
    expect(most).toBe(7);
    expect(results.map((result) => unwrap(result))).toEqual(Array.from({ length: 50 }, (_, n) => n));
    most = 0;
    await app.sendAll(Array.from({ length: 3000 }, (_, n) => Work(n)));
    expect(most).toBe(1024);
  });

  test("refuses a concurrency of nothing", () => {
    expect(() => bare.sendAll([Do({ n: 1, how: "value" })], { concurrency: 0 })).toThrow(RangeError);
  });
});
