/** Whatever fails, and whoever has stopped waiting for it: nothing is thrown into the void. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import process from "node:process";
import * as v from "valibot";
import {
  type Behavior,
  command,
  createMediator,
  event,
  handle,
  on,
  reliableEvent,
  stream,
  type,
} from "@catga/catga";
import {
  bulkhead,
  circuitBreaker,
  fallback,
  log,
  metrics,
  retry,
  timeout,
  trace,
  validate,
} from "@catga/catga/behaviors";
import { fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", note);
});
afterEach(async () => {
  // Runtimes tell of it a turn later.
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

const text = v.pipeAsync(v.string(), v.checkAsync((value) => Promise.resolve(value !== "unfit"), "unfit"));
const Do = command("do", { input: text, output: type<void>(), idempotent: true });
const Told = event("told", { data: text });
const Kept = reliableEvent("kept", { data: text });
const Each = stream("each", { input: text, output: type<number>() });

const boom = (): never => {
  throw new Error("x");
};
/** Rejects once time has passed, when nobody may be waiting any more. */
function late(behaviors: readonly Behavior[]) {
  const runtime = fakeRuntime();
  const fail = (how: string): Promise<never> | never => {
    if (how === "throw") boom();
    if (how === "reject") return Promise.reject(new Error("x"));
    return new Promise((_, reject) => runtime.clock.timer(50, () => reject(new Error("x"))));
  };
  const app = createMediator({
    runtime,
    behaviors,
    handlers: [
      handle(Do, fail),
      ...[Told, Kept].flatMap((each) => [on(each as typeof Told, fail), on(each as typeof Told, fail)]),
      handle(Each, async function* (how) {
        try {
          yield 1;
          await fail(how);
        } finally {
          if (how === "finally") boom();
        }
      }),
    ],
  });
  return { app, runtime };
}

const layers: readonly (readonly [string, readonly Behavior[]])[] = [
  ["nothing", []],
  [
    "all of ours",
    [
      log(),
      metrics({ record: () => {} }),
      trace({ start: () => ({ end: () => {} }) }),
      validate({ output: true }),
      fallback(Do, boom),
      timeout(20),
      circuitBreaker(),
      bulkhead({ concurrency: 2, queue: 2 }),
      retry({ delay: 10 }),
    ],
  ],
  ["hooks that throw", [trace({ start: () => ({ end: boom }) }), metrics({ record: boom })]],
  ["one that rejects", [() => () => Promise.reject(new Error("x"))]],
];

describe.each(layers)("with %s around", (_name, behaviors) => {
  test.each(["throw", "reject", "late", "unfit"])("calls that %s and that nobody waits for", async (how) => {
    const { app, runtime } = late(behaviors);
    const caller = new AbortController();
    for (const options of [undefined, { timeout: 10 }, { signal: caller.signal }, { concurrency: 2 }]) {
      void app.send(Do(how), options);
      void app.sendAll([Do(how), Do("late"), Do(how)], options);
      void app.publish(Told(how), options);
      void app.publish(Kept(how), options);
      void app.publishAll([Told(how), Kept(how)], options);
    }
    await settle();
    caller.abort();
    await runtime.advance(1000);
    // A call may still wait for a slot that a call in flight has; nothing else may be left.
    expect(runtime.pending()).toBe(0);
  });

  test.each(["throw", "reject", "late", "finally", "unfit"])("streams that %s", async (how) => {
    const { app, runtime } = late(behaviors);
    const caller = new AbortController();
    const read = async (until: number, options = {}): Promise<void> => {
      let seen = 0;
      for await (const _ of app.stream(Each(how), options)) if (++seen >= until) break;
    };
    const reads = [
      read(1),
      read(9),
      read(9, { timeout: 10 }),
      read(9, { signal: caller.signal }),
      read(1, { signal: caller.signal }),
    ];
    const ended = Promise.allSettled(reads);
    app.stream(Each(how));
    await settle();
    caller.abort();
    await runtime.advance(1000);
    expect(await ended).toHaveLength(5);
    expect(runtime.pending()).toBe(0);
  });
});
