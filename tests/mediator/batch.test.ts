import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type BatchOptions,
  command,
  createMediator,
  event,
  fail,
  handle,
  on,
  type,
  unwrap,
} from "@catga/catga";
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

  test("of nothing is nothing, at once", async () => {
    expect(await bare.sendAll([])).toEqual([]);
    expect(await layered.sendAll([], { concurrency: 1 })).toEqual([]);
  });

  test("the same message twice is two calls", async () => {
    const message = Do({ n: 1, how: "later" });
    expect((await bare.sendAll([message, message])).map((result) => unwrap(result))).toEqual([1, 1]);
  });
});

/** What batches of both verbs share: `act` is called for each, and at most so many at once. */
const Work = command("work", { input: type<number>(), output: type<number>() });
const Heard = event("heard", { data: type<number>() });
function working(act: (n: number) => Promise<void>) {
  const app = createMediator({
    runtime,
    handlers: [
      handle(Work, async (n) => {
        await act(n);
        return n;
      }),
      on(Heard, act),
    ],
  });
  return {
    sendAll: (all: readonly number[], options?: BatchOptions) =>
      app.sendAll(all.map((n) => Work(n)), options),
    publishAll: (all: readonly number[], options?: BatchOptions) =>
      app.publishAll(all.map((n) => Heard(n)), options),
  };
}

describe.each(["sendAll", "publishAll"] as const)("%s", (verb) => {
  test("starts each once, in order, at most so many at once, and all of them at once if it may", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(4), { maxLength: 40 }),
        fc.oneof(fc.integer({ min: 1, max: 45 }), fc.constant(2.5), fc.constant(Infinity)),
        async (turns, concurrency) => {
          const started: number[] = [];
          let running = 0;
          let most = 0;
          const { [verb]: batch } = working(async (n) => {
            started.push(n);
            most = Math.max(most, ++running);
            for (let turn = 0; turn <= turns[n]!; turn++) await Promise.resolve();
            running--;
          });
          const results = await batch(turns.map((_, n) => n), { concurrency });
          expect(started).toEqual(turns.map((_, n) => n));
          expect(most).toBeLessThanOrEqual(concurrency);
          if (concurrency >= turns.length) expect(most).toBe(turns.length);
          expect(results.every((result) => result.ok)).toBe(true);
          if (verb === "sendAll") expect(results.map((result) => result.ok && result.value)).toEqual(started);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("goes on with the next as soon as one is done", async () => {
    const started: number[] = [];
    const { [verb]: batch } = working((n) => {
      started.push(n);
      return n === 0 ? new Promise<void>((resolve) => setTimeout(resolve, 20)) : Promise.resolve();
    });
    const done = batch([0, 1, 2, 3], { concurrency: 2 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(started).toEqual([0, 1, 2, 3]);
    await done;
  });

  test.each([0, 0.5, -1, NaN, -Infinity])("with a concurrency of %d is a RangeError", (concurrency) => {
    let started = 0;
    const { [verb]: batch } = working(() => {
      started++;
      return Promise.resolve();
    });
    expect(() => batch([1], { concurrency })).toThrow(RangeError);
    expect(() => batch([], { concurrency })).toThrow(String(concurrency));
    expect(started).toBe(0);
  });
});
