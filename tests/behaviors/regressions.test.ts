/** Faults that were found, each as small as it gets. */
import { expect, test } from "bun:test";
import * as v from "valibot";
import { createMediator, handle, query, stream, type } from "@catga/catga";
import { bulkhead, circuitBreaker, log, metrics, timeout, trace } from "@catga/catga/behaviors";
import { createTimerWheel } from "../../src/internal/timer_wheel.ts";
import { Act, bench, broken, fakeRuntime, settle, watch } from "./fake_runtime.ts";

test("wheel: cancel of later due tick in late turn", () => {
  let now = 0;
  let turn: (() => void) | undefined;
  const wheel = createTimerWheel({
    now: () => now,
    schedule: (_ms, run) => (turn = run, () => void (turn = undefined)),
  });
  const ran: string[] = [];
  wheel(4, () => {
    ran.push("a");
    stop();
  });
  const stop = wheel(8, () => void ran.push("b"));
  wheel(12, () => void ran.push("c"));
  now = 20;
  turn!();
  expect(ran).toEqual(["a", "c"]);
});
test("timeout swallows a rejection", async () => {
  const runtime = fakeRuntime();
  const app = createMediator({
    runtime,
    behaviors: [timeout(50), () => () => Promise.reject(new Error("x"))],
    handlers: [handle(Act, () => 1)],
  });
  const call = watch(app.send(Act("x")));
  await settle();
  expect(call.code).toBe("INTERNAL");
});
test("schema that throws", async () => {
  const bad = v.pipe(
    v.string(),
    v.transform((): string => {
      throw new Error("x");
    }),
  );
  const In = query("in", { input: bad, output: type<number>() });
  const app = createMediator({ handlers: [handle(In, () => 1)] });
  expect(await watch(app.send(In("x"))).done).toBe("INTERNAL");
});
test("schema that throws in sendAll/async", async () => {
  const bad = v.pipeAsync(
    v.string(),
    v.transformAsync((): Promise<string> => Promise.reject(new Error("x"))),
  );
  const In = query("in", { input: bad, output: type<number>() });
  const app = createMediator({ handlers: [handle(In, () => 1)] });
  expect(await watch(app.send(In("x"))).done).toBe("INTERNAL");
});
test("bulkhead slot lost by schema that throws", async () => {
  const bad = v.pipe(
    v.string(),
    v.transform((s): string => {
      if (s === "bad") throw new Error("x");
      return s;
    }),
  );
  const In = query("in", { input: bad, output: type<number>() });
  const app = createMediator({
    runtime: fakeRuntime(),
    behaviors: [(n) => (c) => n(c), bulkhead({ concurrency: 1 })],
    handlers: [handle(In, () => 1)],
  });
  expect(await watch(app.send(In("bad"))).done).toBe("INTERNAL");
  expect(await watch(app.send(In("ok"))).done).toBe("ok");
});
test("stream outlives timeout() but its calls do not", async () => {
  const Inner = query("inner", { input: type<void>(), output: type<number>(), timeout: 1000 });
  const S = stream("s", { input: type<void>(), output: type<string>() });
  const runtime = fakeRuntime();
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => open = resolve);
  const app = createMediator({
    runtime,
    behaviors: [timeout(50)],
    handlers: [
      handle(Inner, () => 1),
      handle(S, async function* (_b, c) {
        await gate;
        const r = await c.send(Inner());
        yield r.ok ? "ok" : r.error.code;
      }),
    ],
  });
  const it = app.stream(S())[Symbol.asyncIterator]();
  const first = it.next();
  await runtime.advance(60);
  open();
  expect((await first).value).toBe("ok");
});
test("breaker: straggler success closes / failure frees second probe", async () => {
  const b = bench([circuitBreaker({ failures: 2, reset: 100 })]);
  for (let n = 0; n < 3; n++) b.send(Act, "x");
  b.started[0]!.answer(broken());
  b.started[1]!.answer(broken());
  await b.runtime.advance(100);
  b.send(Act, "probe");
  b.started[2]!.answer(broken()); // straggler
  await b.runtime.advance(100);
  b.send(Act, "second");
  await settle();
  expect(b.started.length).toBe(4);
});
test("breaker: VALIDATION resets count", async () => {
  const In = query("in", { input: v.number(), output: type<number>() });
  const app = createMediator({
    runtime: fakeRuntime(),
    behaviors: [circuitBreaker({ failures: 2 })],
    handlers: [handle(In, () => broken())],
  });
  const codes: string[] = [];
  for (const x of [1, "bad", 1, 1]) codes.push(await watch(app.send(In(x as number))).done);
  expect(codes).toEqual(["TRANSPORT", "VALIDATION", "TRANSPORT", "UNAVAILABLE"]);
});
test("bulkhead: many late waiters", async () => {
  const b = bench([bulkhead({ concurrency: 1, queue: 50_000 })]);
  const calls = [b.send(Act, "a")];
  for (let n = 0; n < 30_000; n++) calls.push(b.send(Act, "x", { timeout: 10 }));
  b.send(Act, "last");
  // not advance(): quadratic; jump instead
  const now = b.runtime.clock.mono();
  (b.runtime.clock as { mono: () => number }).mono = () => now + 50;
  b.started[0]!.answer(1);
  await settle();
  expect([calls[0]!.code, b.started.length]).toEqual(["ok", 2]);
});
test("observers see a rejection further in", async () => {
  const seen: string[] = [];
  const runtime = fakeRuntime();
  const app = createMediator({
    runtime,
    behaviors: [
      log(),
      metrics({ record: (m) => void seen.push(m.outcome) }),
      trace({ start: () => ({ end: (f) => void seen.push(String(f?.code)) }) }),
      () => () => Promise.reject(new Error("x")),
    ],
    handlers: [handle(Act, () => 1)],
  });
  await watch(app.send(Act("x"))).done;
  expect([seen, runtime.entries.map((entry) => entry.event).sort()]).toEqual([["INTERNAL", "INTERNAL"], [
    "handler.failed",
    "message.handled",
  ]]);
});
