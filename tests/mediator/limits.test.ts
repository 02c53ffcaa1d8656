/** Timeouts, signals and what they do to calls within calls; time passes only when told to. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type CatgaError,
  command,
  type Context,
  createMediator,
  handle,
  query,
  stream,
  type,
} from "@catga/catga";
import { type FakeRuntime, fakeRuntime, settle, watch } from "../behaviors/fake_runtime.ts";

const Outer = command("outer", { input: type<void>(), output: type<unknown>() });
const Inner = command("inner", { input: type<void>(), output: type<unknown>() });
const Limited = query("limited", { input: type<void>(), output: type<unknown>(), timeout: 50 });
const never = (): Promise<never> => new Promise(() => {});

/** A mediator of calls within calls on a clock by hand. */
function nesting(inner: (context: Context) => unknown, outer: (context: Context) => unknown) {
  const runtime: FakeRuntime = fakeRuntime();
  const app = createMediator({
    runtime,
    handlers: [
      handle(Outer, (_body, context) => outer(context)),
      handle(Inner, (_body, context) => inner(context)),
      handle(Limited, (_body, context) => inner(context)),
    ],
  });
  return { app, runtime };
}

describe("a timeout", () => {
  test("is the shortest of the call's, the contract's and what is left of the caller's own", async () => {
    const ms = fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(ms, ms, fc.nat(30), async (outer, inner, later) => {
        const { app, runtime } = nesting(never, async (context) => {
          await new Promise<void>((resolve) => runtime.clock.timer(later, resolve));
          return context.send(Limited(), { timeout: inner });
        });
        const start = runtime.clock.mono();
        const call = watch(app.send(Outer(), { timeout: outer }));
        let ended = Infinity;
        void call.done.then(() => ended = runtime.clock.mono() - start);
        const expected = Math.min(outer ?? Infinity, later + Math.min(inner ?? Infinity, 50));
        await runtime.advance(200);
        expect([call.code, ended]).toEqual(["TIMEOUT", expected]);
        expect(runtime.pending()).toBeLessThanOrEqual(1);
      }),
      { numRuns: 60 },
    );
  });

  test("of nothing, or less, starts no handler", async () => {
    let started = 0;
    const { app, runtime } = nesting(() => 1, () => ++started);
    for (const timeout of [0, -1, -Infinity]) {
      expect(await watch(app.send(Outer(), { timeout })).done).toBe("TIMEOUT");
    }
    expect([started, runtime.pending()]).toEqual([0, 0]);
  });

  test("for ever, or left out, sets no timer", async () => {
    const { app, runtime } = nesting(() => 1, () => 2);
    await app.send(Outer(), { timeout: Infinity });
    await app.send(Outer(), { timeout: undefined });
    await app.send(Outer(), {});
    await app.send(Outer());
    expect(runtime.asked).toEqual([]);
  });

  test("is called off by an answer, by a failure and by a throw", async () => {
    for (const outer of [() => 1, () => Promise.resolve(1), () => Promise.reject(new Error("x"))]) {
      const { app, runtime } = nesting(never, outer);
      await app.send(Outer(), { timeout: 100 });
      expect([runtime.asked.length, runtime.pending()]).toEqual([1, 0]);
    }
  });

  test("counts for each call of a batch from when it is started", async () => {
    const runtime = fakeRuntime();
    const app = createMediator({
      runtime,
      handlers: [handle(Outer, async () => {
        await new Promise<void>((resolve) => runtime.clock.timer(8, resolve));
      })],
    });
    const batch = app.sendAll(Array.from({ length: 5 }, () => Outer()), { timeout: 10, concurrency: 1 });
    await runtime.advance(100);
    expect((await batch).map((result) => result.ok)).toEqual([true, true, true, true, true]);
  });
});

describe("giving up", () => {
  test("before the call starts no handler", async () => {
    let started = 0;
    const { app } = nesting(() => 1, () => ++started);
    const signal = AbortSignal.abort();
    expect(await watch(app.send(Outer(), { signal })).done).toBe("CANCELLED");
    const batch = await app.sendAll([Outer(), Outer()], { signal });
    expect(batch.map((result) => result.ok ? "ok" : result.error.code)).toEqual(["CANCELLED", "CANCELLED"]);
    expect(started).toBe(0);
  });

  test("in the middle of a batch starts no more of it", async () => {
    const caller = new AbortController();
    let started = 0;
    const { app } = nesting(() => 1, () => {
      if (++started === 3) caller.abort();
      return started;
    });
    const options = { signal: caller.signal, concurrency: 1 };
    const results = await app.sendAll(Array.from({ length: 6 }, () => Outer()), options);
    expect(started).toBe(3);
    expect(results.map((result) => result.ok)).toEqual([true, true, false, false, false, false]);
  });

  test("an answer that came first stands", async () => {
    const caller = new AbortController();
    const { app } = nesting(() => 1, () => "answered");
    const call = watch(app.send(Outer(), { signal: caller.signal }));
    await settle();
    caller.abort();
    expect([await call.done, call.result]).toEqual(["ok", { ok: true, value: "answered" }]);
  });

  test.each(["time", "signal"])(
    "by %s reaches all that was sent, however deep, with one reason",
    async (how) => {
      const Deep = command("deep", { input: type<number>(), output: type<unknown>() });
      const reasons: string[] = [];
      const runtime = fakeRuntime();
      const app = createMediator({
        runtime,
        handlers: [handle(Deep, (depth, context) => {
          context.signal.addEventListener("abort", () => {
            reasons.push(`${depth} ${(context.signal.reason as CatgaError).code}`);
          });
          // Every second one has a limit of its own, and is watched by itself.
          const options = depth % 2 === 0 ? { timeout: 1000 } : undefined;
          return depth === 0 ? never() : context.send(Deep(depth - 1), options);
        })],
      });
      const caller = new AbortController();
      const call = watch(app.send(Deep(4), how === "time" ? { timeout: 10 } : { signal: caller.signal }));
      await settle();
      caller.abort();
      await runtime.advance(10);
      const code = how === "time" ? "TIMEOUT" : "CANCELLED";
      expect(call.code).toBe(code);
      expect(reasons.map((reason) => reason[0]).sort()).toEqual(["0", "1", "2", "3", "4"]);
      expect(reasons).toContain(`4 ${code}`);
      expect(runtime.pending()).toBe(0);
    },
  );

  test("one call does not touch its siblings", async () => {
    const caller = new AbortController();
    const { app } = nesting(() => "fine", async (context) => {
      const given = watch(context.send(Inner(), { signal: AbortSignal.abort() }));
      const other = watch(context.send(Inner()));
      return [await given.done, await other.done];
    });
    expect(await app.send(Outer(), { signal: caller.signal })).toMatchObject({ value: ["CANCELLED", "ok"] });
  });
});

describe("a context", () => {
  test("has one signal, made when it is looked at, that stays quiet where nobody can give up", async () => {
    const signals: AbortSignal[] = [];
    const { app } = nesting((context) => void signals.push(context.signal), async (context) => {
      signals.push(context.signal, context.signal);
      await context.send(Inner());
    });
    await app.send(Outer());
    expect(new Set(signals).size).toBe(1);
    expect(signals[0]!.aborted).toBe(false);
  });

  test("shares the caller's deadline by its own clock", async () => {
    const { app, runtime } = nesting(({ deadline }) => deadline, async (context) => [
      context.deadline,
      await context.send(Inner()),
      await context.send(Limited()),
      await context.send(Inner(), { timeout: 7 }),
    ]);
    const now = runtime.clock.mono();
    expect(await app.send(Outer(), { timeout: 60 })).toMatchObject({
      value: [now + 60, { value: now + 60 }, { value: now + 50 }, { value: now + 7 }],
    });
    expect(await app.send(Outer())).toMatchObject({
      value: [Infinity, { value: Infinity }, { value: now + 50 }, { value: now + 7 }],
    });
  });

  test("draws no chance, reads no clock and makes no id for a handler that looks at nothing", async () => {
    let drawn = 0;
    const runtime = { ...fakeRuntime(() => ++drawn) };
    let read = 0;
    const clock = { ...runtime.clock, mono: () => ++read };
    const app = createMediator({ runtime: { ...runtime, clock }, handlers: [handle(Outer, () => 1)] });
    await app.send(Outer());
    await app.sendAll([Outer(), Outer()]);
    expect([drawn, read]).toEqual([0, 0]);
  });
});

describe("a stream within its limits", () => {
  const Each = stream("each", { input: type<void>(), output: type<number>(), timeout: 50 });

  test("its contract's timeout is for all of it", async () => {
    const runtime = fakeRuntime();
    const app = createMediator({
      runtime,
      handlers: [handle(Each, async function* () {
        for (let n = 0;; n++) {
          yield n;
          await new Promise<void>((resolve) => runtime.clock.timer(20, resolve));
        }
      })],
    });
    const seen: unknown[] = [];
    const read = (async () => {
      for await (const value of app.stream(Each())) seen.push(value);
    })().catch((thrown: CatgaError) => seen.push(thrown.code));
    await runtime.advance(49);
    expect(seen).toEqual([0, 1, 2]);
    await runtime.advance(1);
    await read;
    expect(seen).toEqual([0, 1, 2, "TIMEOUT"]);
  });

  test("ends with the handler that reads it", async () => {
    const runtime = fakeRuntime();
    const seen: unknown[] = [];
    const app = createMediator({
      runtime,
      handlers: [
        handle(Each, async function* () {
          yield 1;
          await never();
        }),
        handle(Outer, async (_body, context) => {
          try {
            for await (const value of context.stream(Each())) seen.push(value);
          } catch (thrown) {
            seen.push((thrown as CatgaError).code);
          }
        }),
      ],
    });
    const caller = new AbortController();
    const call = watch(app.send(Outer(), { signal: caller.signal }));
    await settle();
    caller.abort();
    await settle();
    expect([call.code, seen, runtime.pending()]).toEqual(["CANCELLED", [1, "CANCELLED"], 0]);
  });

  test("given up before it is read starts no handler", async () => {
    let started = 0;
    const app = createMediator({
      runtime: fakeRuntime(),
      handlers: [handle(Each, async function* () {
        started++;
        yield 1;
      })],
    });
    const read = app.stream(Each(), { signal: AbortSignal.abort() })[Symbol.asyncIterator]().next();
    expect(await read.catch((thrown: CatgaError) => thrown.code)).toBe("CANCELLED");
    expect(started).toBe(0);
  });
});
