/** Calls that were given up from outside: the caller has its answer, and the handler may still be at it. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Fault } from "@catga/catga";
import { bulkhead, circuitBreaker, log, metrics, trace } from "@catga/catga/behaviors";
import { Act, bench, broken, settle, Timed } from "./fake_runtime.ts";

describe("a handler that never settles, under its contract's timeout", () => {
  test("opens the circuit as one that fails", async () => {
    const b = bench([circuitBreaker({ failures: 2, reset: 1000 })]);
    const codes: string[] = [];
    for (let n = 0; n < 3; n++) {
      const call = b.send(Timed, "x");
      await b.runtime.advance(100);
      codes.push(call.code);
    }
    expect(codes).toEqual(["TIMEOUT", "TIMEOUT", "UNAVAILABLE"]);
  });

  test("is no probe for ever: the circuit lets another through", async () => {
    const b = bench([circuitBreaker({ failures: 1, reset: 100 })]);
    b.send(Timed, "x");
    b.started[0]!.answer(broken());
    await b.runtime.advance(100);
    const probe = b.send(Timed, "hangs");
    await b.runtime.advance(300);
    expect(probe.code).toBe("TIMEOUT");
    const next = b.send(Timed, "goes well");
    b.started[2]?.answer(1);
    await settle();
    expect(next.code).toBe("ok");
  });

  test("given up by its caller is no probe for ever either", async () => {
    const b = bench([circuitBreaker({ failures: 1, reset: 100 })]);
    b.send(Act, "x");
    b.started[0]!.answer(broken());
    await b.runtime.advance(100);
    const caller = new AbortController();
    const probe = b.send(Act, "hangs", { signal: caller.signal });
    caller.abort();
    await b.runtime.advance(300);
    expect(probe.code).toBe("CANCELLED");
    const next = b.send(Act, "goes well");
    b.started[2]?.answer(1);
    await settle();
    expect(next.code).toBe("ok");
  });

  test("is logged, measured and its span ended, once", async () => {
    const outcomes: string[] = [];
    const ends: (string | undefined)[] = [];
    const b = bench([
      log(),
      metrics({ record: ({ outcome }) => void outcomes.push(outcome) }),
      trace({ start: () => ({ end: (fault: Fault | undefined) => void ends.push(fault?.code) }) }),
    ]);
    b.send(Timed, "x");
    await b.runtime.advance(100);
    const logged = () => b.runtime.entries.map((entry) => entry.fields?.["outcome"]);
    expect([logged(), outcomes, ends]).toEqual([["TIMEOUT"], ["TIMEOUT"], ["TIMEOUT"]]);
    b.started[0]!.answer(1);
    await settle();
    expect([logged(), outcomes, ends]).toEqual([["TIMEOUT"], ["TIMEOUT"], ["TIMEOUT"]]);
  });

  test("keeps its slot of a bulkhead, since it is still being handled", async () => {
    const b = bench([bulkhead({ concurrency: 1 })]);
    b.send(Timed, "x");
    await b.runtime.advance(200);
    const next = b.send(Timed, "y");
    await settle();
    expect(next.code).toBe("OVERLOADED");
    b.started[0]!.answer(1);
    await settle();
    b.send(Timed, "z");
    expect(b.started.map((call) => call.body)).toEqual(["x", "z"]);
  });
});

test("a waiter whose caller gave up leaves its place in the queue of a bulkhead", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.oneof(fc.constant("send" as const), fc.constant("give up" as const)), { maxLength: 30 }),
      async (queue, steps) => {
        const b = bench([bulkhead({ concurrency: 1, queue })]);
        b.send(Act, "runs");
        const waiting: { caller: AbortController; call: ReturnType<typeof b.send> }[] = [];
        for (const step of steps) {
          if (step === "give up") waiting.shift()?.caller.abort();
          else {
            const caller = new AbortController();
            const call = b.send(Act, "waits", { signal: caller.signal });
            await settle();
            expect(call.code).toBe(waiting.length < queue ? "pending" : "OVERLOADED");
            if (call.code === "pending") waiting.push({ caller, call });
          }
          await settle();
        }
      },
    ),
    { numRuns: 60 },
  );
});
