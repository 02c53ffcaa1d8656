import { describe, expect, test } from "bun:test";
import { type Behavior, createMediator, event, fail, type Fault, handle, on, type } from "@catga/catga";
import { log, type Measure, metrics, type SpanStart, trace } from "@catga/catga/behaviors";
import { Act, bench, broken, fakeRuntime, Look, settle, watch } from "./fake_runtime.ts";

describe("log", () => {
  test("writes one entry per message: what, how it ended, how long it took", async () => {
    const b = bench([log()]);
    b.send(Look, "good");
    b.send(Act, "bad");
    await b.runtime.advance(12.5);
    b.started[0]!.answer(1);
    await settle();
    await b.runtime.advance(10);
    b.started[1]!.answer(fail("OWN", { n: 1 }));
    await settle();
    const [good, bad] = b.started.map((call) => call.context.id);
    expect(b.runtime.entries).toEqual([
      {
        level: "info",
        event: "message.handled",
        message: "look ok in 12.5 ms",
        fields: { type: "look", id: good, correlationId: good, outcome: "ok", ms: 12.5 },
      },
      {
        level: "warn",
        event: "message.handled",
        message: "act OWN in 22.5 ms",
        fields: { type: "act", id: bad, correlationId: bad, outcome: "OWN", ms: 22.5 },
      },
    ]);
  });

  test.each(
    [
      [{ success: "debug", failure: "error" }, ["debug", "error"]],
      [{ success: "off" }, ["warn"]],
      [{ failure: "off" }, ["info"]],
    ] as const,
  )("at the levels asked for: %j", async (options, levels) => {
    const b = bench([log(options)]);
    b.send(Act, "good");
    b.send(Act, "bad");
    b.started[0]!.answer(1);
    await settle();
    b.started[1]!.answer(fail("OWN", { n: 1 }));
    await settle();
    expect(b.runtime.entries.map((entry) => entry.level)).toEqual([...levels]);
  });

  test("never writes what is in a message", async () => {
    const b = bench([log()]);
    b.send(Act, "a secret");
    b.started[0]!.answer("a secret");
    await settle();
    expect(JSON.stringify(b.runtime.entries)).not.toContain("secret");
  });
});

describe("metrics", () => {
  test("records how each message ended and how long it took", async () => {
    const records: Measure[] = [];
    const b = bench([metrics({ record: (measure) => void records.push(measure) })]);
    b.send(Look, "good");
    b.send(Act, "own");
    b.send(Act, "thrown");
    await b.runtime.advance(5);
    b.started[0]!.answer(1);
    await b.runtime.advance(5);
    b.started[1]!.answer(fail("OWN", { n: 1 }));
    await b.runtime.advance(5);
    b.started[2]!.throw(new Error("x"));
    await settle();
    expect(records).toEqual([
      { type: "look", kind: "query", outcome: "ok", ms: 5 },
      { type: "act", kind: "command", outcome: "OWN", ms: 10 },
      { type: "act", kind: "command", outcome: "INTERNAL", ms: 15 },
    ]);
  });

  test("counts each hearer of an event", async () => {
    const Told = event("told", { data: type<void>() });
    const records: Measure[] = [];
    const app = createMediator({
      runtime: fakeRuntime(),
      behaviors: [metrics({ record: (measure) => void records.push(measure) })],
      handlers: [on(Told, () => {}), on(Told, () => Promise.reject(new Error("x")))],
    });
    await app.publish(Told());
    expect(records.map(({ kind, outcome }) => [kind, outcome])).toEqual([["event", "ok"], [
      "event",
      "INTERNAL",
    ]]);
  });
});

describe("trace", () => {
  test("starts a span before the handler and ends it once, with the fault if there is one", async () => {
    const seen: (string | undefined)[] = [];
    const starts: SpanStart[] = [];
    const b = bench([trace({
      start: (span) => {
        starts.push(span);
        seen.push(`start ${span.context.headers["traceparent"]}`);
        return { end: (fault: Fault | undefined) => void seen.push(fault?.code ?? "fine") };
      },
    })]);
    b.send(Look, "good", { headers: { traceparent: "00-1" } });
    expect(seen).toEqual(["start 00-1"]);
    b.started[0]!.answer(1);
    await settle();
    b.send(Act, "bad", { headers: { traceparent: "00-2" } });
    b.started[1]!.answer(broken());
    await settle();
    expect(seen).toEqual(["start 00-1", "fine", "start 00-2", "TRANSPORT"]);
    expect(starts.map(({ type, kind }) => [type, kind])).toEqual([["look", "query"], ["act", "command"]]);
    expect(starts.map(({ context }) => context.id)).toEqual(b.started.map(({ context }) => context.id));
  });
});

describe("a hook that throws", () => {
  const boom = (): never => {
    throw new Error("x");
  };
  const cases: readonly (readonly [string, Behavior, number])[] = [
    ["a tracer that cannot start", trace({ start: boom }), 0],
    ["a span that cannot end", trace({ start: () => ({ end: boom }) }), 1],
    ["a meter", metrics({ record: boom }), 1],
  ];

  test.each(cases)("%s gives INTERNAL, never a rejection", async (_name, behavior, started) => {
    for (const outer of [[], [log()], [metrics({ record: () => {} })]]) {
      let handled = 0;
      const app = createMediator({
        runtime: fakeRuntime(),
        behaviors: [...outer, behavior],
        handlers: [handle(Act, () => ++handled)],
      });
      const call = watch(app.send(Act("x")));
      await settle();
      expect([call.code, handled]).toEqual(["INTERNAL", started]);
    }
  });
});

test("without hooks no clock is read, no timer set, nothing logged", async () => {
  const runtime = fakeRuntime();
  let looked = 0;
  const counted = { ...runtime, clock: { ...runtime.clock, mono: () => (looked++, 0) } };
  const app = createMediator({
    runtime: counted,
    behaviors: [metrics(undefined), trace(undefined), log({ success: "off", failure: "off" })],
    handlers: [handle(Act, () => 1)],
  });
  expect(await watch(app.send(Act("x"))).done).toBe("ok");
  expect([looked, runtime.entries.length, runtime.asked.length]).toEqual([0, 0, 0]);
});
