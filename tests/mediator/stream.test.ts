import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { createMediator, handle, type LogEntry, stream, type } from "@catga/catga";
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
});
