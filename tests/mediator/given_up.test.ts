/** Calls that end from outside: what the layers around them learn of it, and what is not started any more. */
import { describe, expect, test } from "bun:test";
import {
  type Behavior,
  CatgaError,
  command,
  createMediator,
  event,
  handle,
  on,
  query,
  reliableEvent,
  stream,
  type,
} from "@catga/catga";
import { bulkhead, circuitBreaker, log } from "@catga/catga/behaviors";
import { Origin } from "../../src/mediator/context.ts";
import type { Engine } from "../../src/mediator/mediator.ts";
import { broken, fakeRuntime, settle, watch } from "../behaviors/fake_runtime.ts";

const passing: Behavior = (next) => (context) => next(context);
const never = (): Promise<never> => new Promise(() => {});

describe.each([["bare", []], ["layered", [passing]]] as const)(
  "an event's limits, %s handlers",
  (_how, layers) => {
    const start = () => {
      const Told = event("told", { data: type<void>() });
      const Kept = reliableEvent("kept", { data: type<void>() });
      const Limited = reliableEvent("limited", { data: type<void>(), timeout: 10 });
      const runtime = fakeRuntime();
      const seen: { signal: AbortSignal; deadline: number }[] = [];
      const hang = (_body: void, { signal, deadline }: { signal: AbortSignal; deadline: number }) => {
        seen.push({ signal, deadline });
        return never();
      };
      const app = createMediator({
        runtime,
        behaviors: layers,
        handlers: [Told, Kept, Limited].flatMap((
          each,
        ) => [on(each as typeof Told, hang), on(each as typeof Told, hang)]),
      });
      const reasons = () => seen.map(({ signal }) => (signal.reason as CatgaError | undefined)?.code);
      return { Told, Kept, Limited, runtime, app, seen, reasons };
    };

    test("in time: every handler's signal aborts, and a reliable event says so", async () => {
      const { Told, Kept, Limited, runtime, app, seen, reasons } = start();
      const now = runtime.clock.mono();
      const calls = [
        app.publish(Told(), { timeout: 10 }),
        app.publish(Kept(), { timeout: 10 }),
        app.publish(Limited()),
      ].map(watch);
      await runtime.advance(9);
      expect(calls.map((call) => call.code)).toEqual(["pending", "pending", "pending"]);
      expect(seen.map(({ deadline }) => deadline)).toEqual(Array(6).fill(now + 10));
      await runtime.advance(1);
      expect(calls.map((call) => call.code)).toEqual(["ok", "TIMEOUT", "TIMEOUT"]);
      expect(reasons()).toEqual(Array(6).fill("TIMEOUT"));
    });

    test("by signal: every handler's signal aborts, and a reliable event says so", async () => {
      const { Told, Kept, app, reasons } = start();
      const caller = new AbortController();
      const calls = [Told(), Kept()].map((each) => watch(app.publish(each, { signal: caller.signal })));
      caller.abort();
      await settle();
      expect(calls.map((call) => call.code)).toEqual(["ok", "CANCELLED"]);
      expect(reasons()).toEqual(Array(4).fill("CANCELLED"));
    });
  },
);

describe("a call within a call that has no limit of its own", () => {
  const Outer = command("outer", { input: type<void>(), output: type<unknown>() });
  const Inner = command("inner", { input: type<string>(), output: type<unknown>() });
  const start = (behavior: Behavior) => {
    const runtime = fakeRuntime();
    const answers: ((value: unknown) => void)[] = [];
    const app = createMediator({
      runtime,
      handlers: [
        handle(Outer, (_body, context) => context.send(Inner("nested"))),
        handle(Inner, () => new Promise((resolve) => answers.push(resolve)), { behaviors: [behavior] }),
      ],
    });
    return { runtime, answers, app };
  };

  test("is no probe for ever once its caller's caller has gone", async () => {
    const { runtime, answers, app } = start(circuitBreaker({ failures: 1, reset: 100 }));
    const first = watch(app.send(Inner("x")));
    answers[0]!(broken());
    await runtime.advance(100);
    const probe = watch(app.send(Outer(), { timeout: 10 }));
    await runtime.advance(300);
    expect([first.code, probe.code, answers.length]).toEqual(["TRANSPORT", "TIMEOUT", 2]);
    const next = watch(app.send(Inner("y")));
    answers[2]?.(1);
    expect(await next.done).toBe("ok");
  });

  test("leaves its place in a queue when its caller's caller has gone", async () => {
    const { answers, app } = start(bulkhead({ concurrency: 1, queue: 1 }));
    void app.send(Inner("runs"));
    const caller = new AbortController();
    const waits = watch(app.send(Outer(), { signal: caller.signal }));
    caller.abort();
    expect(await waits.done).toBe("CANCELLED");
    const next = watch(app.send(Inner("waits too")));
    await settle();
    expect(next.code).toBe("pending");
    answers[0]!(1);
    await settle();
    answers[1]!(2);
    expect(await next.done).toBe("ok");
  });

  test("is logged when its caller's caller has gone", async () => {
    const { runtime, app } = start(log());
    void app.send(Outer(), { timeout: 10 });
    await runtime.advance(10);
    expect(runtime.entries.map((entry) => entry.fields?.["type"])).toEqual(["inner"]);
  });
});

test("a call of another node that is given up there ends for the layers here", async () => {
  const Ask = query("ask", { input: type<void>(), output: type<unknown>() });
  const runtime = fakeRuntime();
  const app = createMediator({ runtime, behaviors: [log()], handlers: [handle(Ask, never)] });
  const origin = new Origin();
  origin.watched = true;
  void (app as Engine).dispatch(Ask(), origin);
  origin.context!.cancel({ code: "CANCELLED", message: "given up", data: undefined, retryable: false });
  await settle();
  expect(runtime.entries.map((entry) => entry.fields?.["outcome"])).toEqual(["CANCELLED"]);
});

describe("a stream that was given up before it is read", () => {
  test.each([["signal", { signal: AbortSignal.abort() }], ["time", { timeout: 0 }]] as const)(
    "by %s starts no handler, of whatever kind",
    async (_how, options) => {
      const Each = stream("each", { input: type<void>(), output: type<number>() });
      let started = 0;
      const app = createMediator({
        runtime: fakeRuntime(),
        handlers: [handle(Each, () => {
          started++;
          return (async function* () {})();
        })],
      });
      const read = app.stream(Each(), options)[Symbol.asyncIterator]().next();
      expect(await read.catch((thrown: unknown) => CatgaError.is(thrown))).toBe(true);
      expect(started).toBe(0);
    },
  );
});

test("an event's handler whose answer cannot even be looked at is one failed handler", async () => {
  const Kept = reliableEvent("kept", { data: type<void>() });
  const answer = {
    get then(): never {
      throw new Error("no");
    },
  };
  let heard = 0;
  const app = createMediator({
    runtime: fakeRuntime(),
    handlers: [on(Kept, () => answer as never), on(Kept, () => void heard++)],
  });
  expect(await watch(Promise.resolve().then(() => app.publish(Kept()))).done).toBe("INTERNAL");
  expect(heard).toBe(1);
});

test("what a call was ended with first is what its handler's calls are refused with", async () => {
  const Outer = query("outer", { input: type<void>(), output: type<string>() });
  const Inner = query("inner", { input: type<void>(), output: type<string>() });
  let refused: unknown;
  const app = createMediator({
    runtime: fakeRuntime(),
    handlers: [
      handle(Inner, () => "never"),
      handle(Outer, async (_body, context) => {
        await ended;
        const result = await context.send(Inner());
        return refused = result.ok ? "ok" : result.error.code;
      }),
    ],
  });
  let end!: () => void;
  const ended = new Promise<void>((resolve) => end = resolve);
  const origin = new Origin();
  const answered = (app as Engine).dispatch(Outer(), origin);
  for (const code of ["TIMEOUT", "CANCELLED"]) {
    origin.context?.cancel({ code, message: code, data: undefined, retryable: false });
  }
  end();
  await answered;
  expect(refused).toBe("TIMEOUT");
});
