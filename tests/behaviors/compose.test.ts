import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import {
  type Behavior,
  command,
  createMediator,
  event,
  handle,
  ok,
  on,
  query,
  reliableEvent,
  type Step,
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
import { Act, fakeRuntime, Look, settle, Timed, watch } from "./fake_runtime.ts";

const naming = (name: string, seen: string[]): Behavior => (next) => async (context) => {
  seen.push(`${name} in`);
  const result = await next(context);
  seen.push(`${name} out`);
  return result;
};

describe("composition", () => {
  test("the first behavior is outermost, a handler's own are inside the mediator's", async () => {
    const seen: string[] = [];
    const app = createMediator({
      runtime: fakeRuntime(),
      behaviors: [naming("a", seen), naming("b", seen)],
      handlers: [
        handle(Look, () => void seen.push("handler"), { behaviors: [naming("c", seen), naming("d", seen)] }),
      ],
    });
    await app.send(Look("x"));
    expect(seen).toEqual([
      "a in",
      "b in",
      "c in",
      "d in",
      "handler",
      "d out",
      "c out",
      "b out",
      "a out",
    ]);
  });

  test("is done once per contract, at start, with the contract and the runtime", async () => {
    const runtime = fakeRuntime();
    const composed: string[] = [];
    const counting: Behavior = (next, contract, given) => {
      expect(given).toBe(runtime);
      composed.push(contract.type);
      return next;
    };
    const app = createMediator({
      runtime,
      behaviors: [counting],
      handlers: [handle(Look, () => 1), handle(Act, () => 2)],
    });
    expect(composed).toEqual(["look", "act"]);
    for (let n = 0; n < 10; n++) await app.send(Look("x"));
    await app.sendAll([Look("x"), Act("y"), Look("z")]);
    expect(composed).toEqual(["look", "act"]);
  });

  test("a behavior may answer without the handler", async () => {
    let handled = 0;
    const app = createMediator({
      behaviors: [() => () => Promise.resolve(ok("from the cache"))],
      handlers: [handle(Look, () => ++handled)],
    });
    expect(await app.send(Look("x"))).toEqual(ok("from the cache"));
    expect(handled).toBe(0);
  });
});

describe("a behavior with nothing to do gives back next", () => {
  const next: Step = () => Promise.resolve(ok(1));
  const Numbers = stream("numbers", { input: type<void>(), output: v.number() });
  const Checked = query("checked", { input: v.string(), output: v.number() });
  const meter = { record: () => {} };
  const tracer = { start: () => ({ end: () => {} }) };

  test.each([
    ["bulkhead without a limit", bulkhead({ concurrency: Infinity }), Look],
    ["circuitBreaker that never opens", circuitBreaker({ failures: Infinity }), Look],
    ["fallback for another contract", fallback(Act, () => 1), Look],
    ["log with both levels off", log({ success: "off", failure: "off" }), Look],
    ["metrics without a meter", metrics(undefined), Look],
    ["trace without a tracer", trace(undefined), Look],
    ["retry of what is not idempotent", retry(), Act],
    ["retry with one attempt", retry({ attempts: 1 }), Look],
    ["timeout of a contract with its own", timeout(5), Timed],
    ["validate of trusted schemas", validate({ output: true }), Look],
    ["validate of a stream's answers", validate({ output: true }), Numbers],
  ])("%s", (_name, behavior, contract) => {
    expect(behavior(next, contract, fakeRuntime())).toBe(next);
  });

  test.each([
    ["bulkhead", bulkhead({ concurrency: 1 }), Look],
    ["circuitBreaker", circuitBreaker(), Look],
    ["fallback", fallback(Look, () => 1), Look],
    ["log", log(), Look],
    ["log of failures", log({ success: "off" }), Look],
    ["metrics", metrics(meter), Look],
    ["trace", trace(tracer), Look],
    ["retry", retry(), Look],
    ["timeout", timeout(5), Look],
    ["validate", validate(), Checked],
  ])("and %s with something to do does not", (_name, behavior, contract) => {
    expect(behavior(next, contract, fakeRuntime())).not.toBe(next);
  });
});

describe("a behavior that throws or rejects", () => {
  const throwing: Behavior = () => () => {
    throw new Error("secret");
  };
  const rejecting: Behavior = () => () => Promise.reject(new Error("secret"));
  const late: Behavior = (next) => async (context) => {
    await next(context);
    throw new Error("secret");
  };
  const passing: Behavior = (next) => (context) => next(context);
  const around: readonly (readonly [string, readonly Behavior[]])[] = [
    ["alone", []],
    ["another of the user's", [passing]],
    ["bulkhead", [bulkhead({ concurrency: 1 })]],
    ["circuitBreaker", [circuitBreaker({ failures: 100 })]],
    ["fallback", [fallback(Look, () => 1)]],
    ["log", [log()]],
    ["metrics", [metrics({ record: () => {} })]],
    ["trace", [trace({ start: () => ({ end: () => {} }) })]],
    ["retry", [retry()]],
    ["validate", [validate({ output: true })]],
  ];
  const kinds = [["throwing", throwing], ["rejecting", rejecting], ["late", late]] as const;
  const cases = around.flatMap(([name, outer]) =>
    kinds.map(([how, bad]) => [how, name, outer, bad] as const)
  );

  test.each(cases)("%s inside %s is INTERNAL, logged with its cause", async (_how, _name, outer, bad) => {
    const runtime = fakeRuntime();
    const app = createMediator({ runtime, behaviors: [...outer, bad], handlers: [handle(Look, () => 1)] });
    for (let n = 1; n <= 3; n++) {
      const call = watch(app.send(Look("x")));
      await runtime.advance(10_000);
      expect(call.code).toBe("INTERNAL");
      expect(JSON.stringify(call.result)).not.toContain("secret");
      expect(runtime.entries.filter((entry) => entry.event === "handler.failed")).toHaveLength(n);
    }
  });

  test.each(kinds)("%s outside of everything is INTERNAL too, also in a batch", async (_how, bad) => {
    const app = createMediator({
      runtime: fakeRuntime(),
      behaviors: [bad, bulkhead({ concurrency: 5 }), retry()],
      handlers: [handle(Look, () => 1)],
    });
    const results = await app.sendAll([Look("x"), Look("y")]);
    expect(results.map((result) => result.ok ? "ok" : result.error.code)).toEqual(["INTERNAL", "INTERNAL"]);
  });

  test.each(kinds)("%s around a hearer is one failed handler", async (_how, bad) => {
    const Told = event("told", { data: type<void>() });
    const Kept = reliableEvent("kept", { data: type<void>() });
    let heard = 0;
    const hear = () => void heard++;
    const app = createMediator({
      runtime: fakeRuntime(),
      handlers: [
        on(Told, hear, { behaviors: [bad] }),
        on(Told, hear),
        on(Kept, hear, { behaviors: [bad], name: "bad" }),
        on(Kept, hear),
      ],
    });
    expect(await app.publish(Told())).toMatchObject({ ok: true });
    expect(await app.publish(Kept())).toMatchObject({
      ok: false,
      error: { code: "INTERNAL", data: { failures: [{ handler: "bad", code: "INTERNAL" }] } },
    });
    expect(heard).toBeGreaterThanOrEqual(2);
  });

  test("at start fails the start", () => {
    const bad: Behavior = () => {
      throw new Error("no such table");
    };
    expect(() => createMediator({ behaviors: [bad], handlers: [handle(Look, () => 1)] })).toThrow(
      "no such table",
    );
  });

  test("a caller whose own behavior failed does not break the others", async () => {
    const odd: Behavior = (next) => (context) => {
      if (context.body === "bad") throw new Error("bad");
      return next(context);
    };
    const Say = command("say", { input: type<string>(), output: type<string>() });
    const app = createMediator({
      runtime: fakeRuntime(),
      behaviors: [odd],
      handlers: [handle(Say, (word) => word)],
    });
    const calls = ["a", "bad", "b"].map((word) => watch(app.send(Say(word))));
    await settle();
    expect(calls.map((call) => call.code)).toEqual(["ok", "INTERNAL", "ok"]);
  });
});
