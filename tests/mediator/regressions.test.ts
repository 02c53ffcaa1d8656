/** Faults that were found, each as small as it gets. */
import { describe, expect, test } from "bun:test";
import {
  command,
  createMediator,
  event,
  failure,
  handle,
  type LogEntry,
  type Mediator,
  on,
  query,
  type Schema,
  stream,
  type,
} from "@catga/catga";
import { fakeRuntime, settle, watch } from "../behaviors/fake_runtime.ts";

/** A schema by hand, which may answer what no schema should. */
const odd = (validate: (value: unknown) => unknown): Schema<string> =>
  ({ "~standard": { version: 1, vendor: "odd", validate } }) as Schema<string>;

describe("a schema that keeps to no rule is INTERNAL, logged, and nothing is thrown at the caller", () => {
  test.each<[string, (value: unknown) => unknown]>([
    ["answers nothing", () => undefined],
    ["answers null", () => null],
    ["answers nothing, later", () => Promise.resolve(undefined)],
    ["gives issues that are no list", () => ({ issues: true })],
    ["gives issues that are no list, later", () => Promise.resolve({ issues: true })],
    ["gives a path with a hole", () => ({ issues: [{ message: "x", path: [null] }] })],
  ])("%s", async (_how, validate) => {
    const Ask = query("ask", { input: odd(validate), output: type<number>() });
    const Told = event("told", { data: odd(validate) });
    const Each = stream("each", { input: odd(validate), output: type<number>() });
    const runtime = fakeRuntime();
    const app = createMediator({
      runtime,
      handlers: [handle(Ask, () => 1), on(Told, () => {}), handle(Each, async function* () {})],
    });
    expect(await watch(app.send(Ask("x"))).done).toBe("INTERNAL");
    expect((await app.sendAll([Ask("x")])).map((result) => result.ok ? "ok" : result.error.code))
      .toEqual(["INTERNAL"]);
    expect(await watch(app.publish(Told("x"))).done).toBe("ok");
    const streamed = app.stream(Each("x"))[Symbol.asyncIterator]().next();
    expect(await streamed.then(() => "ok", (thrown: { code: string }) => thrown.code)).toBe("INTERNAL");
    expect(runtime.entries.map((entry) => entry.event)).toEqual(Array(4).fill("handler.failed"));
  });

  test("a promise of another make is waited for", async () => {
    const Ask = query("ask", {
      input: odd((value) => ({ then: (take: (checked: unknown) => void) => take({ value }) })),
      output: type<string>(),
    });
    const app = createMediator({ handlers: [handle(Ask, (text) => text)] });
    expect(await app.send(Ask("x"))).toMatchObject({ ok: true, value: "x" });
  });
});

test("an answer that cannot even be looked at is INTERNAL", async () => {
  const Ask = query("ask", { input: type<void>(), output: type<unknown>() });
  const answer = {
    get then(): never {
      throw new Error("no");
    },
  };
  const app = createMediator({ runtime: fakeRuntime(), handlers: [handle(Ask, () => answer)] });
  expect(await watch(app.send(Ask())).done).toBe("INTERNAL");
});

test("a thenable, such as a query that runs when waited for, is waited for once in a batch too", async () => {
  const Save = command("save", { input: type<string>(), output: type<unknown>() });
  let ran = 0;
  const lazy = {
    then: (resolve: (rows: number) => void): void => {
      ran++;
      resolve(1);
    },
  };
  const app = createMediator({
    runtime: fakeRuntime(),
    handlers: [handle(Save, (what) => what === "lazy" ? lazy : Promise.reject(new Error("no")))],
  });
  const results = await app.sendAll([Save("lazy"), Save("bad")]);
  expect(results.map((result) => result.ok)).toEqual([true, false]);
  expect(ran).toBe(1);
});

describe("publish keeps to its limits as send does", () => {
  const Told = event("told", { data: type<void>() });
  const Limited = event("limited", { data: type<void>(), timeout: 10 });
  const signals: AbortSignal[] = [];
  const hang = (_body: void, { signal }: { signal: AbortSignal }): Promise<never> => {
    signals.push(signal);
    return new Promise(() => {});
  };
  const start = () => {
    signals.length = 0;
    const runtime = fakeRuntime();
    return { runtime, app: createMediator({ runtime, handlers: [on(Told, hang), on(Limited, hang)] }) };
  };

  test("the timeout at the call", async () => {
    const { runtime, app } = start();
    const call = watch(app.publish(Told(), { timeout: 10 }));
    await runtime.advance(10);
    expect([call.code !== "pending", signals.map((signal) => signal.aborted)]).toEqual([true, [true]]);
  });

  test("the event's own timeout", async () => {
    const { runtime, app } = start();
    const call = watch(app.publish(Limited()));
    await runtime.advance(10);
    expect([call.code !== "pending", signals.map((signal) => signal.aborted)]).toEqual([true, [true]]);
  });

  test("the caller's signal", async () => {
    const { app } = start();
    const caller = new AbortController();
    const call = watch(app.publish(Told(), { signal: caller.signal }));
    caller.abort();
    await settle();
    expect([call.code !== "pending", signals.map((signal) => signal.aborted)]).toEqual([true, [true]]);
  });
});

describe("a stream of an iterator made by hand", () => {
  const Each = stream("each", { input: type<void>(), output: type<number>() });
  const reading = async (iterator: Record<string, () => unknown>) => {
    const log: LogEntry[] = [];
    const runtime = { ...fakeRuntime(), log: (entry: LogEntry) => void log.push(entry) };
    const answers = { [Symbol.asyncIterator]: () => iterator } as never;
    const app = createMediator({ runtime, handlers: [handle(Each, () => answers)] });
    try {
      for await (const value of app.stream(Each())) return value;
      return "none";
    } catch (thrown) {
      return `${thrown}`;
    }
  };
  const next = () => Promise.resolve({ done: false, value: 1 });

  test("whose return answers at once, as for await allows, can be left", async () => {
    expect(await reading({ next, return: () => ({ done: true }) })).toBe(1);
    expect(await reading({ next, return: () => undefined })).toBe(1);
  });

  test("whose return throws does not throw at a reader who leaves", async () => {
    const bad = (): never => {
      throw new Error("secret");
    };
    expect(await reading({ next, return: bad })).toBe(1);
  });

  test("whose next answers at once, as for await allows, is read", async () => {
    expect(await reading({ next: () => ({ done: false, value: 1 }) })).toBe(1);
  });
});

test("a reader who leaves a stream has given it up: its handler's signal aborts", async () => {
  const Each = stream("each", { input: type<void>(), output: type<number>() });
  const signals: AbortSignal[] = [];
  const app = createMediator({
    runtime: fakeRuntime(),
    handlers: [handle(Each, async function* (_body, { signal }) {
      signals.push(signal);
      for (let n = 0;; n++) yield n;
    })],
  });
  for await (const _ of app.stream(Each())) break;
  expect(signals.map((signal) => signal.aborted)).toEqual([true]);
});

describe("a handler that goes on after its caller has gone", () => {
  const Outer = command("outer", { input: type<void>(), output: type<void>() });
  const Inner = command("inner", { input: type<void>(), output: type<void>() });
  const start = () => {
    const runtime = fakeRuntime();
    const seen: string[] = [];
    let go = (): void => {};
    const app = createMediator({
      runtime,
      handlers: [
        handle(Inner, () => void seen.push("started")),
        handle(Outer, async (_body, context) => {
          await new Promise<void>((resolve) => go = resolve);
          const result = await context.send(Inner());
          seen.push(result.ok ? "ok" : result.error.code);
        }),
      ],
    });
    return { runtime, seen, app, go: () => go() };
  };

  test("starts nothing more in its name: it was given up", async () => {
    const { app, seen, go } = start();
    const caller = new AbortController();
    const call = watch(app.send(Outer(), { signal: caller.signal }));
    caller.abort();
    go();
    await settle();
    expect([call.code, seen]).toEqual(["CANCELLED", ["CANCELLED"]]);
  });

  test("starts nothing more in its name: its deadline passed", async () => {
    const { app, seen, go, runtime } = start();
    const call = watch(app.send(Outer(), { timeout: 10 }));
    await runtime.advance(20);
    go();
    await settle();
    expect(call.code).toBe("TIMEOUT");
    expect(seen).toHaveLength(1);
    expect(["TIMEOUT", "CANCELLED"]).toContain(seen[0]!);
  });
});

test("headers travel with everything sent because of a message, also beside new ones", async () => {
  const Outer = command("outer", { input: type<void>(), output: type<unknown>() });
  const Inner = command("inner", { input: type<void>(), output: type<unknown>() });
  const app = createMediator({
    handlers: [
      handle(Inner, (_body, { headers }) => headers),
      handle(Outer, (_body, context) => context.send(Inner(), { headers: { step: "2" } })),
    ],
  });
  expect(await app.send(Outer(), { headers: { tenant: "t1", step: "1" } })).toMatchObject({
    value: { tenant: "t1", step: "2" },
  });
});

test("a handler of another kind with the same name is not the one a contract needs", () => {
  const Asked = query("one", { input: type<void>(), output: type<number>() });
  const Streamed = stream("one", { input: type<void>(), output: type<number>() });
  const streamed = handle(Streamed, async function* () {});
  expect(() => createMediator({ handlers: [streamed], contracts: [Asked] })).toThrow('"one"');
});

test("a timeout that is no number does not mean for ever", async () => {
  const Hang = query("hang", { input: type<void>(), output: type<void>() });
  const runtime = fakeRuntime();
  const app = createMediator({ runtime, handlers: [handle(Hang, () => new Promise<never>(() => {}))] });
  const send = async () => {
    const call = watch(app.send(Hang(), { timeout: NaN }));
    await runtime.advance(1e9);
    return call.code;
  };
  expect(await send().catch((thrown: Error) => thrown.name)).not.toBe("pending");
});

test("a failure without a fault, of code without types, is INTERNAL in a send and in a batch", async () => {
  const Ask = query("ask", { input: type<void>(), output: type<number>() });
  const app = createMediator({
    runtime: fakeRuntime(),
    handlers: [handle(Ask, () => failure(undefined as never))],
  });
  expect(await watch(app.send(Ask())).done).toBe("INTERNAL");
  const [result] = await app.sendAll([Ask()]);
  expect(result).toMatchObject({ ok: false, error: { code: "INTERNAL" } });
});

test("two events of one name are a CONFLICT, one event with two handlers is none", () => {
  const One = event("told", { data: type<string>() });
  const Other = event("told", { data: odd(() => ({ issues: [] })) });
  expect(() => createMediator({ handlers: [on(One, () => {}), on(Other, () => {})] })).toThrow(
    'Cannot register "told": that name stands for another event too',
  );
  expect(createMediator({ handlers: [on(One, () => {}), on(One, () => {})] }).contracts).toEqual([One]);
});

test("mediators that serve one contract keep apart, whichever came last and whichever is closed", async () => {
  const Ask = query("ask", { input: type<void>(), output: type<string>() });
  const Told = event("told", { data: type<void>() });
  const heard: string[] = [];
  const make = (name: string) =>
    createMediator({ handlers: [handle(Ask, () => name), on(Told, () => void heard.push(name))] });
  const ask = async (app: { send: Mediator["send"] }) => {
    const result = await app.send(Ask());
    return result.ok ? result.value : result.error.code;
  };
  const apps = [make("a"), make("b")] as const;
  const all = async () => {
    for (const app of apps) await app.publish(Told());
    return [await ask(apps[0]), await ask(apps[1]), heard.splice(0)];
  };
  expect(await all()).toEqual(["a", "b", ["a", "b"]]);
  await apps[1][Symbol.asyncDispose]();
  expect(await all()).toEqual(["a", "UNAVAILABLE", ["a"]]);
  const third = make("c");
  expect([await ask(third), ...await all()]).toEqual(["c", "a", "UNAVAILABLE", ["a"]]);
});
