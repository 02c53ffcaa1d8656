import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { CatgaError, createMediator, fail, handle, type LogEntry, stream, type } from "@catga/catga";
import { systemRuntime } from "@catga/catga/ports";

const Count = stream("count", { input: v.number(), output: type<number>() });

function counting(handler: (n: number, context: import("@catga/catga").Context) => unknown) {
  const log: LogEntry[] = [];
  const runtime = systemRuntime({ log: (entry) => log.push(entry) });
  const app = createMediator({ handlers: [handle(Count, handler as never)], runtime });
  const read = async (
    n: number,
    options: { signal?: AbortSignal; timeout?: number } = {},
    until = Infinity,
  ) => {
    const seen: unknown[] = [];
    try {
      for await (const value of app.stream(Count(n), options)) {
        seen.push(value);
        if (seen.length >= until) break;
      }
    } catch (thrown) {
      seen.push((thrown as { code: string }).code);
    }
    return seen;
  };
  return { app, read, log };
}

describe("stream", () => {
  test("gives the values one by one, and starts when it is first asked", async () => {
    let started = 0;
    const { app, read } = counting(async function* (n) {
      started++;
      for (let at = 0; at < n; at++) yield at;
    });
    app.stream(Count(3));
    expect(started).toBe(0);
    expect(await read(3)).toEqual([0, 1, 2]);
    expect(await read(0)).toEqual([]);
  });

  test("a reader that breaks off ends the handler", async () => {
    let ended = 0;
    const { read } = counting(async function* () {
      try {
        for (let at = 0;; at++) yield at;
      } finally {
        ended++;
      }
    });
    expect(await read(1, {}, 3)).toEqual([0, 1, 2]);
    expect(ended).toBe(1);
  });

  test("fails where the handler does, and the log has the cause", async () => {
    const { read, log } = counting(async function* () {
      yield 1;
      throw new Error("secret");
    });
    expect(await read(1)).toEqual([1, "INTERNAL"]);
    expect(log.map((entry) => entry.event)).toEqual(["handler.failed"]);
  });

  test("fails at once for a body that does not fit, no iterable, nobody there", async () => {
    const { app, read } = counting(() => 5);
    expect(await read("x" as never)).toEqual(["VALIDATION"]);
    expect(await read(1)).toEqual(["INTERNAL"]);
    await app[Symbol.asyncDispose]();
    expect(await read(1)).toEqual(["UNAVAILABLE"]);
  });

  test("ends when the signal aborts and at its timeout, though the handler hangs", async () => {
    const aborted: string[] = [];
    const { read } = counting(async function* (n, { signal }) {
      signal.addEventListener("abort", () => aborted.push((signal.reason as { code: string }).code));
      yield n;
      await new Promise(() => {});
    });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 10);
    expect(await read(1, { signal: controller.signal })).toEqual([1, "CANCELLED"]);
    expect(await read(1, { signal: controller.signal })).toEqual(["CANCELLED"]);
    expect(await read(1, { timeout: 10 })).toEqual([1, "TIMEOUT"]);
    expect(aborted).toContain("CANCELLED");
    expect(aborted).toContain("TIMEOUT");
  });

  test("gives a value only when one is asked for, and each reader a stream of its own", async () => {
    let made = 0;
    const { app } = counting(async function* (n) {
      for (let at = 0; at < n; at++) {
        made++;
        yield at;
      }
    });
    const one = app.stream(Count(5))[Symbol.asyncIterator]();
    const other = app.stream(Count(5))[Symbol.asyncIterator]();
    expect([(await one.next()).value, (await one.next()).value, (await other.next()).value]).toEqual([
      0,
      1,
      0,
    ]);
    expect(made).toBe(3);
    await one.return?.();
    await other.return?.();
    expect(await one.next()).toEqual({ done: true, value: undefined });
  });

  test("a reader that throws ends the handler too, and gets its own error", async () => {
    let ended = 0;
    const { app, log } = counting(async function* () {
      try {
        for (let at = 0;; at++) yield at;
      } finally {
        ended++;
      }
    });
    const read = async (): Promise<void> => {
      for await (const _ of app.stream(Count(1))) throw new RangeError("the reader's");
    };
    expect(await read().catch((thrown: unknown) => `${thrown}`)).toBe("RangeError: the reader's");
    expect([ended, log]).toEqual([1, []]);
  });

  test("given up between two reads gives no further value, though one is there", async () => {
    const { app } = counting(async function* () {
      for (let at = 0;; at++) yield at;
    });
    const caller = new AbortController();
    const reader = app.stream(Count(1), { signal: caller.signal })[Symbol.asyncIterator]();
    expect(await reader.next()).toEqual({ done: false, value: 0 });
    caller.abort();
    expect(await reader.next().catch((thrown: CatgaError) => thrown.code)).toBe("CANCELLED");
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test("may fail before it begins, with a result or a throw", async () => {
    const { read, log } = counting((n) => {
      if (n === 0) return fail("NO", 1);
      throw new CatgaError(fail("NO", 1).error);
    });
    expect([await read(0), await read(1), log]).toEqual([["NO"], ["NO"], []]);
  });

  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 5],
    ["a list", [1, 2]],
    ["a promise of a list", Promise.resolve([1, 2])],
  ])("of %s is INTERNAL, logged", async (_what, answer) => {
    const { read, log } = counting(() => answer);
    expect(await read(1)).toEqual(["INTERNAL"]);
    expect(log.map((entry) => entry.event)).toEqual(["handler.failed"]);
  });

  test("an iterable that comes later, or starts at once, will do", async () => {
    const { read } = counting((n) => {
      const values = (async function* () {
        yield n;
      })();
      return n === 1 ? Promise.resolve(values) : values;
    });
    expect([await read(1), await read(2)]).toEqual([[1], [2]]);
  });

  test("values that are undefined, or look like the end, come through", async () => {
    const values = [undefined, null, { done: true }, false];
    const { read } = counting(async function* () {
      yield* values;
    });
    expect(await read(1)).toEqual(values);
  });

  test("has one handler: a second is a CONFLICT, none is NO_HANDLER", async () => {
    const one = handle(Count, async function* () {});
    expect(() => createMediator({ handlers: [one, one] })).toThrow('"count"');
    const read = createMediator({ handlers: [] }).stream(Count(1))[Symbol.asyncIterator]().next();
    expect(await read.catch((thrown: CatgaError) => thrown.code)).toBe("NO_HANDLER");
  });

  test("a thousand values keep their order, whatever takes time", async () => {
    const { read } = counting(async function* (n) {
      for (let at = 0; at < n; at++) {
        if (at % 7 === 0) await Promise.resolve();
        yield at;
      }
    });
    expect(await read(1000)).toEqual(Array.from({ length: 1000 }, (_, at) => at));
  });
});
