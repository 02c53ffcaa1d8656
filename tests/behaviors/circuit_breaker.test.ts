import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createMediator, fail, handle } from "@catga/catga";
import { circuitBreaker } from "@catga/catga/behaviors";
import { Act, bench, broken, fakeRuntime, Look, settle, watch } from "./fake_runtime.ts";

/** Lets a call come to what is given, and says what the caller got. */
async function once(b: ReturnType<typeof bench>, answer: unknown, contract: typeof Look | typeof Act = Act) {
  const before = b.started.length;
  const call = b.send(contract, "x");
  if (b.started.length > before) b.started[before]!.answer(answer);
  await settle();
  return call.code;
}

async function opened(failures = 3, reset = 100) {
  const b = bench([circuitBreaker({ failures, reset })]);
  for (let n = 0; n < failures; n++) expect(await once(b, broken())).toBe("TRANSPORT");
  return b;
}

describe("circuitBreaker", () => {
  test("opens after so many failures in a row and then starts no handler", async () => {
    const b = await opened();
    const call = b.send(Act, "x");
    await settle();
    expect(call.result).toMatchObject({
      ok: false,
      error: { code: "UNAVAILABLE", retryable: true, data: { retryAfter: 100 } },
    });
    expect(b.started).toHaveLength(3);
    await b.runtime.advance(99);
    expect(await once(b, 1)).toBe("UNAVAILABLE");
    expect(b.started).toHaveLength(3);
  });

  test("by default after five, for ten seconds", async () => {
    const b = bench([circuitBreaker()]);
    for (let n = 0; n < 5; n++) expect(await once(b, broken())).toBe("TRANSPORT");
    expect(await once(b, 1)).toBe("UNAVAILABLE");
    await b.runtime.advance(9_999);
    expect(await once(b, 1)).toBe("UNAVAILABLE");
    await b.runtime.advance(1);
    expect(await once(b, 1)).toBe("ok");
  });

  test("a success in between starts the count anew", async () => {
    const b = bench([circuitBreaker({ failures: 3 })]);
    for (const answer of [broken(), broken(), 1, broken(), broken()]) await once(b, answer);
    expect(await once(b, 1)).toBe("ok");
  });

  test("the contract's own failures do not count", async () => {
    const b = bench([circuitBreaker({ failures: 2 })]);
    for (let n = 0; n < 10; n++) expect(await once(b, fail("OWN", { n }))).toBe("OWN");
    expect(await once(b, 1)).toBe("ok");
  });

  test("a handler that throws counts", async () => {
    let handled = 0;
    const runtime = fakeRuntime();
    const app = createMediator({
      runtime,
      behaviors: [circuitBreaker({ failures: 2 })],
      handlers: [handle(Act, () => {
        handled++;
        throw new Error("x");
      })],
    });
    const codes = [];
    for (let n = 0; n < 4; n++) codes.push(await watch(app.send(Act("x"))).done);
    expect([codes, handled]).toEqual([["INTERNAL", "INTERNAL", "UNAVAILABLE", "UNAVAILABLE"], 2]);
  });

  test("a behavior further in that throws or rejects counts, also as a probe", async () => {
    const runtime = fakeRuntime();
    let how: "throw" | "reject" | "pass" = "throw";
    const app = createMediator({
      runtime,
      behaviors: [circuitBreaker({ failures: 2, reset: 100 }), (next) => (context) => {
        if (how === "throw") throw new Error("x");
        return how === "reject" ? Promise.reject(new Error("x")) : next(context);
      }],
      handlers: [handle(Act, () => 1)],
    });
    const ask = () => watch(app.send(Act("x"))).done;
    expect([await ask(), await ask(), await ask()]).toEqual(["INTERNAL", "INTERNAL", "UNAVAILABLE"]);
    await runtime.advance(100);
    how = "reject";
    expect([await ask(), await ask()]).toEqual(["INTERNAL", "UNAVAILABLE"]);
    await runtime.advance(100);
    how = "pass";
    expect([await ask(), await ask()]).toEqual(["ok", "ok"]);
  });

  test("lets one probe through at a time, and its success closes", async () => {
    const b = await opened();
    await b.runtime.advance(100);
    const probe = b.send(Act, "probe");
    const others = [b.send(Act, "x"), b.send(Act, "y")];
    await settle();
    expect([probe, ...others].map((call) => call.code)).toEqual(["pending", "UNAVAILABLE", "UNAVAILABLE"]);
    expect(b.started).toHaveLength(4);
    b.started[3]!.answer(1);
    await settle();
    expect(probe.code).toBe("ok");
    expect([await once(b, broken()), await once(b, broken()), await once(b, 1)]).toEqual([
      "TRANSPORT",
      "TRANSPORT",
      "ok",
    ]);
  });

  test("a probe that fails keeps it open as long again", async () => {
    const b = await opened();
    for (let round = 0; round < 3; round++) {
      await b.runtime.advance(100);
      expect(await once(b, broken())).toBe("TRANSPORT");
      expect(await once(b, 1)).toBe("UNAVAILABLE");
      await b.runtime.advance(99);
      expect(await once(b, 1)).toBe("UNAVAILABLE");
      await b.runtime.advance(1);
    }
    expect(await once(b, fail("OWN", { n: 1 }))).toBe("OWN");
    expect(await once(b, 1)).toBe("ok");
  });

  test("each contract has its own", async () => {
    const b = await opened();
    expect(await once(b, 1, Act)).toBe("UNAVAILABLE");
    expect(await once(b, 1, Look)).toBe("ok");
  });

  test("does what a small model does", async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant("send" as const) },
      { weight: 2, arbitrary: fc.constant("good" as const) },
      { weight: 1, arbitrary: fc.constant("own" as const) },
      { weight: 5, arbitrary: fc.constant("bad" as const) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 80 }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 60 }),
        async (failures, steps) => {
          const b = bench([circuitBreaker({ failures, reset: 100 })]);
          let now = 0;
          const model = { inARow: 0, openUntil: 0, started: 0, busy: false };
          for (const what of steps) {
            if (typeof what === "number") {
              await b.runtime.advance(what);
              now += what;
            } else if (what === "send") {
              const open = model.inARow >= failures;
              // Two at once only where the second must be refused.
              if (model.busy && !open) continue;
              const refused = open && (model.busy || now < model.openUntil);
              if (!refused) [model.started, model.busy] = [model.started + 1, true];
              const call = b.send(Act, "x");
              await settle();
              expect(call.code).toBe(refused ? "UNAVAILABLE" : "pending");
            } else if (model.busy) {
              b.started.at(-1)!.answer(
                what === "bad" ? broken() : what === "own" ? fail("OWN", { n: 1 }) : 1,
              );
              await settle();
              model.busy = false;
              model.inARow = what === "bad" ? model.inARow + 1 : 0;
              if (model.inARow >= failures) model.openUntil = now + 100;
            }
            expect(b.started).toHaveLength(model.started);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test.each([0, -1, NaN])("with %d failures is a RangeError", (failures) => {
    expect(() => circuitBreaker({ failures })).toThrow(RangeError);
  });
});
