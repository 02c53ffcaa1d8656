import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  command,
  createMediator,
  fail,
  failure,
  handle,
  type SystemCode,
  systemFault,
  type,
} from "@catga/catga";
import { retry, type RetryOptions } from "@catga/catga/behaviors";
import { Act, bench, broken, fakeRuntime, Look, settle, watch } from "./fake_runtime.ts";

const MOST = 2 ** 32 - 1;

/** A query that fails so many times and then goes well. */
function failing(times: number, options: RetryOptions | undefined, u32: () => number = () => MOST) {
  const runtime = fakeRuntime(u32);
  let tries = 0;
  const app = createMediator({
    runtime,
    behaviors: [retry(options)],
    handlers: [handle(Look, () => tries++ < times ? broken() : "well")],
  });
  return { app, runtime, tries: () => tries };
}

describe("retry", () => {
  test("tries again until it goes well", async () => {
    const { app, runtime, tries } = failing(2, undefined);
    const call = watch(app.send(Look("x")));
    await runtime.advance(10_000);
    expect([call.code, tries()]).toEqual(["ok", 3]);
  });

  test("gives up after so many attempts, with the last failure", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 8 }), fc.nat(10), async (attempts, times) => {
        const { app, runtime, tries } = failing(times, { attempts });
        const call = watch(app.send(Look("x")));
        await runtime.advance(100_000);
        expect([call.code, tries()]).toEqual([
          times < attempts ? "ok" : "TRANSPORT",
          Math.min(times + 1, attempts),
        ]);
        expect(runtime.pending()).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("the handler sees the same message with the same id at each try", async () => {
    const { send, started, runtime } = bench([retry()]);
    send(Look, "x");
    started[0]!.answer(broken());
    await runtime.advance(1000);
    expect(started).toHaveLength(2);
    expect(started[1]!.context.id).toBe(started[0]!.context.id);
  });

  test("only idempotent contracts", async () => {
    const Put = command("put", { input: type<void>(), output: type<void>(), idempotent: true });
    const tries = { act: 0, put: 0 };
    const runtime = fakeRuntime();
    const app = createMediator({
      runtime,
      behaviors: [retry()],
      handlers: [
        handle(Act, () => {
          tries.act++;
          return broken();
        }),
        handle(Put, () => {
          tries.put++;
          return broken();
        }),
      ],
    });
    const calls = [watch(app.send(Act("x"))), watch(app.send(Put()))];
    await runtime.advance(10_000);
    expect(calls.map((call) => call.code)).toEqual(["TRANSPORT", "TRANSPORT"]);
    expect(tries).toEqual({ act: 1, put: 3 });
  });

  test.each([
    ["OWN", () => fail("OWN", { n: 1 }), 1],
    ["INTERNAL", () => Promise.reject(new Error("x")), 1],
    ["SERIALIZATION", () => failure(systemFault("SERIALIZATION", "x")), 1],
    ["CANCELLED", () => failure(systemFault("CANCELLED", "x")), 1],
    ["CONFLICT", () => failure(systemFault("CONFLICT", "x")), 1],
    ["TRANSPORT", () => broken(), 3],
    ["TIMEOUT", () => failure(systemFault("TIMEOUT", "x")), 3],
  ])("of a failure with %s", async (code, answer, expected) => {
    const runtime = fakeRuntime();
    let tries = 0;
    const app = createMediator({
      runtime,
      behaviors: [retry()],
      handlers: [handle(Look, () => {
        tries++;
        return answer() as never;
      })],
    });
    const call = watch(app.send(Look("x")));
    await runtime.advance(10_000);
    expect([call.code, tries]).toEqual([code, expected]);
  });

  test.each<[SystemCode, number]>([["UNAVAILABLE", 3], ["OVERLOADED", 3], ["NO_HANDLER", 1], [
    "VALIDATION",
    1,
  ]])(
    "of %s from a behavior further in",
    async (code, expected) => {
      const runtime = fakeRuntime();
      let tries = 0;
      const app = createMediator({
        runtime,
        behaviors: [retry(), () => () => {
          tries++;
          return Promise.resolve(failure(systemFault(code, "x")));
        }],
        handlers: [handle(Look, () => 1)],
      });
      const call = watch(app.send(Look("x")));
      await runtime.advance(10_000);
      expect([call.code, tries]).toEqual([code, expected]);
    },
  );

  test("a failure that turns out not to heal ends it", async () => {
    const { send, started, runtime } = bench([retry({ attempts: 9 })]);
    const call = send(Look, "x");
    started[0]!.answer(broken());
    await runtime.advance(1000);
    started[1]!.answer(fail("OWN", { n: 2 }));
    await runtime.advance(10_000);
    expect([call.code, started.length]).toEqual(["OWN", 2]);
  });

  test("waits a random part of a doubling delay, never more than its limit", async () => {
    const draw = fc.array(fc.integer({ min: 0, max: MOST }), { minLength: 9, maxLength: 9 });
    await fc.assert(
      fc.asyncProperty(
        draw,
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 3000 }),
        async (u, delay, maxDelay) => {
          let at = 0;
          // The mediator draws nothing before an id is asked for, and nobody asks.
          const { app, runtime, tries } = failing(99, { attempts: 10, delay, maxDelay }, () => u[at++]!);
          const call = watch(app.send(Look("x")));
          await runtime.advance(100_000);
          expect([call.code, tries(), runtime.asked.length]).toEqual(["TRANSPORT", 10, 9]);
          runtime.asked.forEach((wait, n) => {
            const limit = Math.min(maxDelay, delay * 2 ** n);
            expect(wait).toBeGreaterThanOrEqual(0);
            expect(wait).toBeLessThan(limit);
            expect(wait / limit).toBeCloseTo(u[n]! / 2 ** 32, 6);
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test("does not wait where the deadline would pass", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 400 }), async (timeout) => {
        const { app, runtime, tries } = failing(99, { attempts: 20, delay: 10, maxDelay: 40 });
        const call = watch(app.send(Look("x"), { timeout: timeout + 0.5 }));
        // Waits of almost 10, 20 and then 40 ms each.
        let expected = 1;
        for (let time = 10; time <= timeout && expected < 20; expected++) {
          time += Math.min(40, 10 * 2 ** expected);
        }
        await runtime.advance(timeout + 0.4);
        expect(call.code).toBe("TRANSPORT");
        expect(tries()).toBe(expected);
        expect(runtime.pending()).toBe(0);
      }),
      { numRuns: 80 },
    );
  });

  test("stops when the caller gives up while it waits", async () => {
    const { app, runtime, tries } = failing(99, undefined);
    const caller = new AbortController();
    const call = watch(app.send(Look("x"), { signal: caller.signal }));
    await settle();
    expect([tries(), runtime.pending()]).toEqual([1, 1]);
    caller.abort();
    await settle();
    expect([call.code, runtime.pending()]).toEqual(["CANCELLED", 0]);
    await runtime.advance(10_000);
    expect(tries()).toBe(1);
  });

  test("stops when the caller gave up while the handler ran", async () => {
    const { send, started, runtime } = bench([retry()]);
    const caller = new AbortController();
    const call = send(Look, "x", { signal: caller.signal });
    caller.abort();
    started[0]!.answer(broken());
    await runtime.advance(10_000);
    expect([call.code, started.length, runtime.pending()]).toEqual(["CANCELLED", 1, 0]);
  });

  test.each([0, 0.5, -1, NaN])("with %d attempts is a RangeError", (attempts) => {
    expect(() => retry({ attempts })).toThrow(RangeError);
  });
});
