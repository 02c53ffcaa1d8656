import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Behavior, createMediator, fail, handle } from "@catga/catga";
import { bulkhead } from "@catga/catga/behaviors";
import { Act, bench, fakeRuntime, Look, type Outcome, settle, watch } from "./fake_runtime.ts";

const bodies = (b: ReturnType<typeof bench>): string[] => b.started.map((call) => call.body);
const codes = (calls: readonly Outcome[]): string[] => calls.map((call) => call.code);

describe("bulkhead", () => {
  test("starts so many, lets so many wait, refuses the rest at once", async () => {
    const b = bench([bulkhead({ concurrency: 2, queue: 1 })]);
    const calls = ["a", "b", "c", "d"].map((body) => b.send(Act, body));
    await settle();
    expect(codes(calls)).toEqual(["pending", "pending", "pending", "OVERLOADED"]);
    expect(calls[3]!.result).toMatchObject({ error: { retryable: true } });
    expect(bodies(b)).toEqual(["a", "b"]);
    b.started[1]!.answer(1);
    await settle();
    expect(bodies(b)).toEqual(["a", "b", "c"]);
    b.started[0]!.answer(1);
    b.started[2]!.answer(1);
    await settle();
    expect(codes(calls)).toEqual(["ok", "ok", "ok", "OVERLOADED"]);
  });

  test("nobody waits if nothing else is said", async () => {
    const b = bench([bulkhead({ concurrency: 1 })]);
    const calls = [b.send(Act, "a"), b.send(Act, "b")];
    await settle();
    expect(codes(calls)).toEqual(["pending", "OVERLOADED"]);
  });

  test("each contract has its own", async () => {
    const b = bench([bulkhead({ concurrency: 1 })]);
    const calls = [b.send(Act, "a"), b.send(Look, "b"), b.send(Look, "c")];
    await settle();
    expect(codes(calls)).toEqual(["pending", "pending", "OVERLOADED"]);
  });

  test("does what a small model does: first come, first served", async () => {
    const step = fc.oneof(fc.constant("send" as const), fc.nat(9));
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.nat(3),
        fc.array(step, { maxLength: 50 }),
        async (concurrency, queue, steps) => {
          const b = bench([bulkhead({ concurrency, queue })]);
          const calls: Outcome[] = [];
          const model = { running: [] as number[], waiting: [] as number[], started: [] as number[] };
          const start = (n: number) => {
            model.running.push(n);
            model.started.push(n);
          };
          for (const what of steps) {
            if (what === "send") {
              const n = calls.length;
              calls.push(b.send(Act, String(n)));
              await settle();
              if (model.running.length < concurrency) start(n);
              else if (model.waiting.length < queue) model.waiting.push(n);
              else expect(calls[n]!.code).toBe("OVERLOADED");
            } else if (model.running.length > 0) {
              const [n] = model.running.splice(what % model.running.length, 1);
              const call = b.started[model.started.indexOf(n!)]!;
              if (what % 3 === 0) call.throw(new Error("x"));
              else call.answer(what % 3 === 1 ? 1 : fail("OWN", { n: what }));
              await settle();
              expect(calls[n!]!.code).toBe(["INTERNAL", "ok", "OWN"][what % 3]!);
              const next = model.waiting.shift();
              if (next !== undefined) start(next);
            }
            expect(bodies(b)).toEqual(model.started.map(String));
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  const throwing: Behavior = () => () => {
    throw new Error("x");
  };
  const rejecting: Behavior = () => () => Promise.reject(new Error("x"));

  test.each([["throws at once", throwing], ["rejects", rejecting]])(
    "a slot comes back when a behavior further in %s",
    async (_how, bad) => {
      const app = createMediator({
        runtime: fakeRuntime(),
        behaviors: [bulkhead({ concurrency: 2, queue: 5 }), bad],
        handlers: [handle(Act, () => 1)],
      });
      for (let round = 0; round < 5; round++) {
        const calls = Array.from({ length: 7 }, () => watch(app.send(Act("x"))));
        await settle();
        expect(codes(calls)).toEqual(calls.map(() => "INTERNAL"));
      }
    },
  );

  test("a waiter whose caller gave up is not started, and its slot goes on", async () => {
    const b = bench([bulkhead({ concurrency: 1, queue: 2 })]);
    const caller = new AbortController();
    const calls = [b.send(Act, "a"), b.send(Act, "b", { signal: caller.signal }), b.send(Act, "c")];
    caller.abort();
    await settle();
    expect(codes(calls)).toEqual(["pending", "CANCELLED", "pending"]);
    b.started[0]!.answer(1);
    await settle();
    expect(bodies(b)).toEqual(["a", "c"]);
    b.started[1]!.answer(1);
    await settle();
    expect(codes(calls)).toEqual(["ok", "CANCELLED", "ok"]);
    expect(await Promise.race([b.send(Act, "d").done, settle().then(() => "started")])).toBe("started");
  });

  test("a waiter whose deadline passed is not started, and its slot goes on", async () => {
    const b = bench([bulkhead({ concurrency: 1, queue: 3 })]);
    const calls = [
      b.send(Act, "a"),
      b.send(Act, "b", { timeout: 10 }),
      b.send(Act, "c", { timeout: 20 }),
      b.send(Act, "d"),
    ];
    await b.runtime.advance(20);
    expect(codes(calls)).toEqual(["pending", "TIMEOUT", "TIMEOUT", "pending"]);
    b.started[0]!.answer(1);
    await settle();
    expect(bodies(b)).toEqual(["a", "d"]);
  });

  test("the last waiter gone leaves the slot free", async () => {
    const b = bench([bulkhead({ concurrency: 1, queue: 1 })]);
    b.send(Act, "a");
    const waiter = b.send(Act, "b", { timeout: 10 });
    await b.runtime.advance(10);
    b.started[0]!.answer(1);
    await settle();
    const next = b.send(Act, "c");
    await settle();
    expect([waiter.code, next.code]).toEqual(["TIMEOUT", "pending"]);
    expect(bodies(b)).toEqual(["a", "c"]);
  });

  test.each([0, 0.5, -1, NaN])("with room for %d is a RangeError", (concurrency) => {
    expect(() => bulkhead({ concurrency })).toThrow(RangeError);
  });
});
