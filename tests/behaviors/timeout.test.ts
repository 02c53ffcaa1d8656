import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CatgaError, fail } from "@catga/catga";
import { retry, timeout } from "@catga/catga/behaviors";
import { Act, bench, broken, Look, settle, Timed } from "./fake_runtime.ts";

describe("timeout", () => {
  test("answers TIMEOUT and aborts the handler's signal", async () => {
    const { send, started, runtime } = bench([timeout(50)]);
    const call = send(Act, "x");
    const { signal, deadline } = started[0]!.context;
    expect(deadline).toBe(1050);
    await runtime.advance(49);
    expect([call.code, signal.aborted]).toEqual(["pending", false]);
    await runtime.advance(1);
    expect([call.code, signal.aborted]).toEqual(["TIMEOUT", true]);
    expect(call.result).toMatchObject({ error: { retryable: true } });
    expect(CatgaError.is(signal.reason)).toBe(true);
    expect(signal.reason).toMatchObject({ code: "TIMEOUT" });
  });

  test("a signal that is looked at too late has been aborted", async () => {
    const { send, started, runtime } = bench([timeout(50)]);
    send(Act, "x");
    await runtime.advance(60);
    expect(started[0]!.context.signal.aborted).toBe(true);
  });

  test("what comes after it changes nothing", async () => {
    const { send, started, runtime } = bench([timeout(50)]);
    const calls = [send(Act, "x"), send(Act, "y")];
    await runtime.advance(60);
    started[0]!.answer(1);
    started[1]!.throw(new Error("late"));
    await settle();
    expect(calls.map((call) => call.code)).toEqual(["TIMEOUT", "TIMEOUT"]);
  });

  test("an answer in time calls the timer off", async () => {
    const { send, started, runtime } = bench([timeout(50)]);
    const calls = ["a", "b", "c"].map((body) => send(Act, body));
    expect(runtime.pending()).toBe(3);
    started[0]!.answer(1);
    started[1]!.answer(fail("OWN", { n: 1 }));
    started[2]!.throw(new Error("x"));
    await settle();
    expect(calls.map((call) => call.code)).toEqual(["ok", "OWN", "INTERNAL"]);
    expect(runtime.pending()).toBe(0);
  });

  test("leaves a contract with its own timeout alone", async () => {
    const { send, runtime } = bench([timeout(5)]);
    const call = send(Timed, "x");
    expect(runtime.asked).toEqual([100]);
    await runtime.advance(99);
    expect(call.code).toBe("pending");
    await runtime.advance(1);
    expect(call.code).toBe("TIMEOUT");
  });

  test("the shorter of the caller's limit and this one holds", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 100 }), async (a, b) => {
        const { send, runtime } = bench([timeout(a)]);
        const call = send(Act, "x", { timeout: b });
        const shorter = Math.min(a, b);
        await runtime.advance(shorter - 1);
        expect(call.code).toBe("pending");
        await runtime.advance(1);
        expect(call.code).toBe("TIMEOUT");
      }),
      { numRuns: 50 },
    );
  });

  test("a caller who gives up gets CANCELLED, and nothing stays behind", async () => {
    const { send, started, runtime } = bench([timeout(50)]);
    const caller = new AbortController();
    const call = send(Act, "x", { signal: caller.signal });
    caller.abort();
    await settle();
    expect([call.code, started[0]!.context.signal.aborted]).toEqual(["CANCELLED", true]);
    expect(runtime.pending()).toBe(0);
  });

  test("bounds all tries of a retry further in", async () => {
    const { send, started, runtime } = bench([timeout(100), retry({ attempts: 10 })]);
    const call = send(Look, "x");
    started[0]!.answer(broken());
    await runtime.advance(60);
    expect(started).toHaveLength(2);
    await runtime.advance(40);
    expect(call.code).toBe("TIMEOUT");
    started[1]!.answer(broken());
    await runtime.advance(10_000);
    expect(started).toHaveLength(2);
  });

  test.each([0, -1, NaN, -Infinity])("of %d ms is a RangeError", (ms) => {
    expect(() => timeout(ms)).toThrow(RangeError);
    expect(() => timeout(ms)).toThrow(String(ms));
  });
});
