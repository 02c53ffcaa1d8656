import { describe, expect, test } from "bun:test";
import {
  command,
  type Contract,
  failure,
  type Fault,
  ok,
  query,
  type Result,
  systemFault,
  type,
} from "@catga/catga";
import { Origin } from "../../src/mediator/context.ts";
import type { QueryCacheOptions } from "../../src/cluster/cache_types.ts";
import { QueryCache } from "../../src/cluster/query_cache.ts";
import { decodeInvalidation, encodeInvalidation, invalidationsOf } from "../../src/cluster/invalidation.ts";
import { fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

const spec = { input: type<unknown>(), output: type<unknown>() };
const Get = query("get", { ...spec, cache: { ttl: 100, staleWhileRevalidate: 50 } });
const Long = query("long", { ...spec, cache: { ttl: 60_000 } });
const Keyed = query("keyed", { ...spec, cache: { ttl: 100, key: (body) => (body as { id: string }).id } });
const Save = command("save", { ...spec, invalidates: [Get, Long] });

type Outcome = Result<unknown, Fault>;
interface Asked {
  readonly origin: Origin | undefined;
  answer(value: unknown): void;
  fail(): void;
}

function setUp(options: QueryCacheOptions = {}) {
  const runtime = { ...fakeRuntime(), background: (work: Promise<unknown>) => void work };
  const cache = new QueryCache(runtime, options);
  const asked: Asked[] = [];
  const fetch = (origin: Origin | undefined): Promise<Outcome> =>
    new Promise((resolve) =>
      void asked.push({
        origin,
        answer: (value) => resolve(ok(value)),
        fail: () => resolve(failure(systemFault("TRANSPORT", "broken", { n: [1] }))),
      })
    );
  const send = (body: unknown, origin: Partial<Origin> = {}, contract: Contract<"query"> = Long) =>
    cache.through(contract(body), contract.cache!, Object.assign(new Origin(), origin), fetch);
  const fill = async (body: unknown, value: unknown, origin: Partial<Origin> = {}) => {
    const call = send(body, origin);
    asked.at(-1)!.answer(value);
    return await call;
  };
  return { runtime, cache, asked, send, fill, fetch };
}

const tenant = (name: string) => ({ headers: { tenant: name } });
const codeOf = (result: Outcome) => result.ok ? "ok" : result.error.code;

describe("keeping", () => {
  test("the same query is asked once, whatever the order of its properties", async () => {
    const { send, fill, asked, cache } = setUp();
    await fill({ a: 1, b: 2 }, "one");
    expect(await send({ b: 2, a: 1 })).toEqual(ok("one"));
    expect(asked).toHaveLength(1);
    expect(cache.stats()).toMatchObject({ entries: 1, hits: 1, misses: 1 });
  });

  test("two tenants never share an answer or a call", async () => {
    const { send, fill, asked } = setUp();
    await fill(1, "a", tenant("a"));
    void send(1, tenant("b"));
    void send(1);
    expect(asked).toHaveLength(3);
  });

  test("failures are not kept, and all who wait get the one there is", async () => {
    const { send, asked } = setUp();
    const calls = [send(1), send(1)];
    asked[0]!.fail();
    const results = await Promise.all(calls);
    expect(results.map(codeOf)).toEqual(["TRANSPORT", "TRANSPORT"]);
    expect(Object.isFrozen((results[1] as { error: Fault }).error.data)).toBe(true);
    void send(1);
    expect(asked).toHaveLength(2);
  });

  test("a kept answer is a frozen copy, on a miss as on a hit", async () => {
    const { send, fill } = setUp();
    const value = { list: [1] };
    const first = await fill(1, value);
    value.list.push(2);
    for (const result of [first, await send(1)]) {
      expect(result).toEqual(ok({ list: [1] }));
      expect(() => (result as { value: typeof value }).value.list.push(3)).toThrow(TypeError);
    }
  });

  test("an answer that is no plain data is neither kept nor shared", async () => {
    const { send, asked, cache } = setUp();
    const calls = [send(1), send(1)];
    asked[0]!.answer(new Date(1));
    await settle();
    asked[1]!.answer(new Date(2));
    expect(await Promise.all(calls)).toEqual([ok(new Date(1)), ok(new Date(2))]);
    expect(cache.stats()).toMatchObject({ entries: 0, refused: 1 });
  });

  test("a picked node, a body without a key and two tenants in one call go straight through", () => {
    const { send, asked, cache } = setUp();
    const origin = { route: () => undefined };
    for (
      const [body, extra] of [[1, origin], [() => 1, {}], [1, {
        headers: { tenant: "a", Tenant: "b" },
      }]] as const
    ) {
      void send(body, extra);
      void send(body, extra);
    }
    expect(asked).toHaveLength(6);
    expect(cache.stats().refused).toBe(4);
  });

  test("a key of the contract's own tells bodies apart; one that throws fails the call", async () => {
    const { send, asked } = setUp();
    void send({ id: "a", n: 1 }, {}, Keyed);
    void send({ id: "a", n: 2 }, {}, Keyed);
    void send({ id: "b", n: 1 }, {}, Keyed);
    expect(asked).toHaveLength(2);
    expect(codeOf(await send(null, {}, Keyed))).toBe("INTERNAL");
  });

  test("an answer is old counted from when it was asked for", async () => {
    const { send, runtime, asked } = setUp();
    const other = send({ id: "a" }, {}, Keyed);
    await runtime.advance(60);
    asked[0]!.answer("x");
    await other;
    await runtime.advance(39);
    expect(await send({ id: "a" }, {}, Keyed)).toEqual(ok("x"));
    await runtime.advance(1);
    void send({ id: "a" }, {}, Keyed);
    expect(asked).toHaveLength(2);
  });
});

describe("stale answers", () => {
  test("are given at once while one new one is fetched", async () => {
    const { send, runtime, asked } = setUp();
    const first = send(1, {}, Get);
    asked[0]!.answer("old");
    await first;
    await runtime.advance(120);
    expect(await send(1, {}, Get)).toEqual(ok("old"));
    expect(await send(1, {}, Get)).toEqual(ok("old"));
    expect(asked).toHaveLength(2);
    asked[1]!.answer("new");
    await settle();
    expect(await send(1, {}, Get)).toEqual(ok("new"));
    expect(runtime.pending()).toBe(0);
  });

  test("a refresh that never ends is given up, and so is one at the end of the cache", async () => {
    const { send, runtime, asked, cache } = setUp();
    const first = send(1, {}, Get);
    asked[0]!.answer("old");
    await first;
    await runtime.advance(120);
    await send(1, {}, Get);
    await runtime.advance(30_000);
    expect(asked[1]!.origin!.signal!.aborted).toBe(true);
    void send(1, {}, Get);
    expect(asked).toHaveLength(3);
    cache[Symbol.dispose]();
    expect(cache.stats().entries).toBe(0);
  });
});

describe("calls that share a flight", () => {
  test("keep their own deadline and signal; it ends with the last of them", async () => {
    const { send, runtime, asked } = setUp();
    const stop = new AbortController();
    const short = send(1, { deadline: 1010 });
    const given = send(1, { signal: stop.signal });
    const { signal } = asked[0]!.origin!;
    await runtime.advance(10);
    expect(codeOf(await short)).toBe("TIMEOUT");
    expect(signal!.aborted).toBe(false);
    stop.abort();
    expect(codeOf(await given)).toBe("CANCELLED");
    expect(signal!.aborted).toBe(true);
    void send(1);
    expect(asked).toHaveLength(2);
    expect(runtime.pending()).toBe(0);
  });

  test("one that gives up takes the answer from nobody", async () => {
    const { send, runtime, asked } = setUp();
    const short = send(1, { deadline: 1010 });
    const patient = send(1);
    await runtime.advance(20);
    asked[0]!.answer("late");
    expect(codeOf(await short)).toBe("TIMEOUT");
    expect(await patient).toEqual(ok("late"));
  });

  test("a call that is over before it begins asks nobody", async () => {
    const { send, fill, asked } = setUp();
    await fill(1, "x");
    expect(codeOf(await send(1, { deadline: 1000 }))).toBe("TIMEOUT");
    expect(codeOf(await send(1, { signal: AbortSignal.abort() }))).toBe("CANCELLED");
    expect(asked).toHaveLength(1);
  });
});

describe("letting go", () => {
  test("an invalidated query is asked anew, that of another tenant is not", async () => {
    const { send, fill, cache, asked } = setUp();
    for (const name of ["a", "b"]) await fill(1, name, tenant(name));
    await fill(1, "all");
    cache.invalidate(["long"], "a");
    expect(cache.stats()).toMatchObject({ entries: 1, invalidated: 2 });
    expect(await send(1, tenant("b"))).toEqual(ok("b"));
    cache.invalidate(["long"]);
    expect(cache.stats().entries).toBe(0);
    expect(asked).toHaveLength(3);
  });

  test("what was under way is answered, but neither kept nor joined", async () => {
    const { send, cache, asked } = setUp();
    const before = send(1);
    cache.invalidate(["long"]);
    const after = send(1);
    expect(asked).toHaveLength(2);
    asked[0]!.answer("old");
    expect(await before).toEqual(ok("old"));
    const joined = send(1);
    asked[1]!.answer("new");
    expect(await Promise.all([after, joined])).toEqual([ok("new"), ok("new")]);
    expect(await send(1)).toEqual(ok("new"));
    expect(asked).toHaveLength(2);
  });

  test("while word may be lost nothing older than 5 s is given, and then all goes", async () => {
    const { send, fill, cache, runtime, asked } = setUp();
    await fill(1, "x");
    cache.suspect();
    await runtime.advance(4999);
    expect(await send(1)).toEqual(ok("x"));
    const under = send(2);
    cache.trust();
    asked[1]!.answer("y");
    await under;
    expect(cache.stats()).toMatchObject({ entries: 0, suspect: false });
    await fill(3, "z");
    cache.suspect();
    await runtime.advance(5000);
    void send(3);
    expect(asked).toHaveLength(4);
  });

  test("it stays within its limits, over any number of tenants", async () => {
    const { fill, cache } = setUp({ entries: 10, size: 80_000 });
    for (let at = 0; at < 500; at++) await fill(at, "x".repeat(at), tenant(`${at}`));
    const { entries, size, evicted } = cache.stats();
    expect(entries).toBeLessThanOrEqual(10);
    expect(size).toBeLessThanOrEqual(80_000);
    expect(entries + evicted).toBe(500);
  });
});

describe("word of a command", () => {
  test("names the queries of its contract", () => {
    expect(invalidationsOf(Save)).toEqual(["get", "long"]);
    expect(invalidationsOf(Get)).toEqual([]);
  });

  test("comes through as it was, in items of 64", () => {
    const types = Array.from({ length: 130 }, (_, at) => `q${at}`);
    const items = encodeInvalidation({ types, tenant: "a" }).map(decodeInvalidation);
    expect(items.map(({ types }) => types.length)).toEqual([64, 64, 2]);
    expect(items.flatMap(({ types }) => types)).toEqual(types);
    expect(items[0]!.tenant).toBe("a");
    const [long] = encodeInvalidation({ types: ["q"], tenant: "x".repeat(129) }).map(decodeInvalidation);
    expect(long!.tenant).toBeUndefined();
  });

  test.each<readonly [unknown]>([[1], [[1]], [[["a", 1]]], [[["a"], 1]], [[[""]]], [[
    new Array(65).fill("a"),
  ]]])(
    "is refused where it is none: %j",
    (item) => expect(() => decodeInvalidation(item)).toThrow("malformed"),
  );
});
