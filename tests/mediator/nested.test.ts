/** What handlers send, and what comes back to them and to their callers. */
import { describe, expect, test } from "bun:test";
import {
  CatgaError,
  command,
  type Context,
  createMediator,
  event,
  fail,
  failure,
  handle,
  isResult,
  type LogEntry,
  on,
  query,
  reliableEvent,
  stream,
  type SystemCode,
  systemFault,
  type,
  unwrap,
} from "@catga/catga";
import { fakeRuntime, watch } from "../behaviors/fake_runtime.ts";

const Ask = command("ask", {
  input: type<string>(),
  output: type<unknown>(),
  errors: { NO: type<number>() },
});
const Told = event("told", { data: type<string>() });
const Kept = reliableEvent("kept", { data: type<string>() });
const Each = stream("each", {
  input: type<string>(),
  output: type<unknown>(),
  errors: { NO: type<number>() },
});

describe("the failure of a call that a handler made", () => {
  const outward: readonly (readonly [SystemCode, string])[] = [
    ["UNAVAILABLE", "INTERNAL"],
    ["OVERLOADED", "INTERNAL"],
    ["NO_HANDLER", "INTERNAL"],
    ["VALIDATION", "INTERNAL"],
    ["TIMEOUT", "TIMEOUT"],
    ["CANCELLED", "CANCELLED"],
    ["TRANSPORT", "TRANSPORT"],
    ["CONFLICT", "CONFLICT"],
    ["SERIALIZATION", "SERIALIZATION"],
    ["INTERNAL", "INTERNAL"],
  ];
  const ways: readonly (readonly [string, (code: SystemCode) => unknown])[] = [
    ["returned", (code) => failure(systemFault(code, "inner"))],
    ["returned later", (code) => Promise.resolve(failure(systemFault(code, "inner")))],
    ["thrown", (code) => unwrap(failure(systemFault(code, "inner")))],
    ["rejected", (code) => Promise.reject(new CatgaError(systemFault(code, "inner")))],
  ];

  test.each(outward.flatMap(([code, seen]) => ways.map(([how, act]) => [code, how, seen, act] as const)))(
    "%s, %s, is %s for its own caller: it had started",
    async (code, _how, seen, act) => {
      const app = createMediator({
        runtime: fakeRuntime(),
        handlers: [handle(Ask, () => act(code)), handle(Each, () => act(code) as never)],
      });
      const fault = systemFault(code, "inner");
      expect(await app.send(Ask("x"))).toMatchObject({
        ok: false,
        error: { code: seen, retryable: fault.retryable },
      });
      const [inBatch] = await app.sendAll([Ask("x"), Ask("y")]);
      expect(inBatch).toMatchObject({ ok: false, error: { code: seen } });
      const opened = await app.stream(Each("x"))[Symbol.asyncIterator]().next()
        .then(() => "ok", (thrown: CatgaError) => thrown.code);
      expect(opened).toBe(seen);
    },
  );

  test("in the middle of a stream keeps its code, unless that says nothing was started", async () => {
    const app = createMediator({
      runtime: fakeRuntime(),
      handlers: [handle(Each, async function* (code) {
        yield 1;
        throw new CatgaError(code === "NO" ? fail("NO", 1).error : systemFault(code as SystemCode, "inner"));
      })],
    });
    const seen: unknown[] = [];
    for (const code of ["NO", "TIMEOUT", "UNAVAILABLE"]) {
      const read = async () => {
        for await (const value of app.stream(Each(code))) seen.push(value);
      };
      await read().catch((thrown: CatgaError) => seen.push(thrown.code));
    }
    expect(seen).toEqual([1, "NO", 1, "TIMEOUT", 1, "INTERNAL"]);
  });

  test("that the handler deals with is no failure of its own, and nothing is logged", async () => {
    const runtime = fakeRuntime();
    const app = createMediator({
      runtime,
      handlers: [handle(Ask, async (body, context) => {
        if (body === "inner") return fail("NO", 1);
        const result = await context.send(Ask("inner"));
        expect(isResult(result)).toBe(true);
        return result.ok ? "no" : `dealt with ${result.error.code}`;
      })],
    });
    expect(await app.send(Ask("outer"))).toMatchObject({ value: "dealt with NO" });
    expect(runtime.entries).toEqual([]);
  });
});

test("all verbs of a context say where a message comes from", async () => {
  type Seen = {
    what: string;
    id: string;
    correlationId: string;
    causationId: string | undefined;
    tenant: unknown;
  };
  const seen: Seen[] = [];
  const look = (what: string, { id, correlationId, causationId, headers }: Context): void => {
    seen.push({ what, id, correlationId, causationId, tenant: headers["tenant"] });
  };
  const app = createMediator({
    handlers: [
      on(Told, (body, context) => look(`told ${body}`, context)),
      on(Kept, (body, context) => look(`kept ${body}`, context)),
      handle(Each, async function* (body, context) {
        look(`each ${body}`, context);
        yield 1;
      }),
      handle(Ask, async (body, context) => {
        look(`ask ${body}`, context);
        if (body !== "first") return;
        await context.send(Ask("a"));
        await context.sendAll([Ask("b"), Ask("c")]);
        await context.publish(Told("d"));
        await context.publishAll([Kept("e"), Told("f")], { concurrency: 1 });
        for await (const _ of context.stream(Each("g")));
      }),
    ],
  });
  await app.send(Ask("first"), { headers: { tenant: "t1" } });
  const [first, ...rest] = seen;
  expect(rest.map(({ what }) => what)).toEqual([
    "ask a",
    "ask b",
    "ask c",
    "told d",
    "kept e",
    "told f",
    "each g",
  ]);
  expect(first).toMatchObject({ correlationId: first!.id, causationId: undefined, tenant: "t1" });
  for (const one of rest) {
    expect(one).toMatchObject({ correlationId: first!.id, causationId: first!.id, tenant: "t1" });
  }
  expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
});

test("causation goes from one to the next, correlation stays", async () => {
  const Down = query("down", { input: type<number>(), output: type<readonly string[][]>() });
  const app = createMediator({
    handlers: [handle(Down, async (depth, context): Promise<string[][]> => {
      const own = [context.id, context.causationId ?? "", context.correlationId];
      return depth === 0 ? [own] : [own, ...unwrap(await context.send(Down(depth - 1))) as string[][]];
    })],
  });
  const chain = unwrap(await app.send(Down(4)));
  for (const [at, [, causation, correlation]] of chain.entries()) {
    expect(causation).toBe(at === 0 ? "" : chain[at - 1]![0]!);
    expect(correlation).toBe(chain[0]![0]!);
  }
});

describe("handlers in the log", () => {
  test("go by the name given, their function's, or their contract's", async () => {
    const entries: LogEntry[] = [];
    const runtime = { ...fakeRuntime(), log: (entry: LogEntry) => void entries.push(entry) };
    const B = command("b", { input: type<void>(), output: type<void>() });
    const C = command("c", { input: type<void>(), output: type<void>() });
    const failing = (): never => {
      throw new Error("x");
    };
    const app = createMediator({
      runtime,
      handlers: [
        handle(Ask, failing, { name: "given" }),
        handle(B, failing),
        handle(C, (() => () => Promise.reject(new Error("x")))()),
      ],
    });
    await app.sendAll([Ask("x"), B(), C()]);
    expect(entries.map((entry) => entry.fields?.["handler"]).sort()).toEqual(["c", "failing", "given"]);
    expect(entries.every((entry) => entry.level === "error" && !entry.message.includes("x failed"))).toBe(
      true,
    );
  });

  test("an event's failures are logged once each, by handler", async () => {
    const runtime = fakeRuntime();
    const bad = (): never => {
      throw new Error("secret");
    };
    const later = () => Promise.reject(new CatgaError(systemFault("TRANSPORT", "the line broke")));
    const app = createMediator({
      runtime,
      handlers: [on(Kept, bad, { name: "one" }), on(Kept, later, { name: "two" }), on(Kept, () => {})],
    });
    const told = watch(app.publish(Kept("x")));
    expect(await told.done).toBe("INTERNAL");
    const { failures } = (told.result as { error: { data: { failures: unknown[] } } }).error.data;
    expect(failures).toHaveLength(2);
    expect(failures).toContainEqual({ handler: "one", code: "INTERNAL", message: "The handler failed" });
    expect(failures).toContainEqual({ handler: "two", code: "TRANSPORT", message: "the line broke" });
    expect(JSON.stringify(told.result)).not.toContain("secret");
    expect(runtime.entries.map((entry) => entry.fields?.["handler"]).sort()).toEqual(["one", "two"]);
  });
});
