/** Values that all processes share: computed once, never older than they may be, never what was there before. */

import { describe, expect, test } from "bun:test";
import { CatgaError, fail, ok, type Schema, systemFault, type } from "@catga/catga";
import { type CacheOptions, createCache, type DistributedCache } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Change, Runtime, Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import fc from "fast-check";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

const TTL = 10_000;
const CLAIM = 1000;

interface Desk {
  readonly time: FakeRuntime;
  readonly runtime: Runtime;
  readonly store: Store;
  /** Requests by method. */
  readonly asked: Record<string, number>;
  /** What all requests meet. */
  fate: "refused" | "lost" | "unanswered" | "hang" | undefined;
  cache<V = unknown>(more?: Partial<CacheOptions<V>>): DistributedCache<V>;
  events(): string[];
}

function desk(): Desk {
  const time = fakeRuntime();
  let last = 1;
  const u32 = (): number => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0;
  const runtime: Runtime = { ...time, random: { u32 }, background: (work) => void work.catch(() => {}) };
  const store = memoryStore({ clock: time.clock });
  const asked: Record<string, number> = { get: 0, put: 0, delete: 0, watch: 0 };
  const meet = async <T>(method: string, work: () => Promise<T>): Promise<T> => {
    asked[method]!++;
    if (made.fate === "refused") throw new CatgaError(systemFault("UNAVAILABLE", "refused"));
    if (made.fate === "lost") throw new CatgaError(systemFault("TRANSPORT", "lost"));
    if (made.fate === "hang") return new Promise<never>(() => {});
    const value = await work();
    if (made.fate === "unanswered") throw new CatgaError(systemFault("TRANSPORT", "not answered"));
    return value;
  };
  const counted: Store = {
    get: (key) => meet("get", () => store.get(key)),
    put: (key, value, { expected, ttl } = {}) => meet("put", () => store.put(key, value, { expected, ttl })),
    delete: (key, { expected } = {}) => meet("delete", () => store.delete(key, { expected })),
    list: (prefix) => store.list(prefix),
    watch: (prefix, options) => {
      asked["watch"]!++;
      return store.watch(prefix, options);
    },
  };
  const made: Desk = {
    time,
    runtime,
    store,
    asked,
    fate: undefined,
    cache: <V>(more: Partial<CacheOptions<V>> = {}) =>
      createCache<V>({
        store: counted,
        runtime,
        namespace: "n",
        value: type<V>(),
        ttl: TTL,
        claim: CLAIM,
        patience: 200,
        ...more,
      }),
    events: () => time.entries.map(({ event }) => event),
  };
  return made;
}

/** Something that is computed when the test says so. */
function work<V>(): {
  readonly compute: (signal: AbortSignal) => Promise<V>;
  readonly signals: AbortSignal[];
  answer(value: V): void;
  fail(error: unknown): void;
} {
  const signals: AbortSignal[] = [];
  const under: { resolve: (value: V) => void; reject: (error: unknown) => void }[] = [];
  return {
    signals,
    compute: (signal) => {
      signals.push(signal);
      return new Promise((resolve, reject) => under.push({ resolve, reject }));
    },
    answer: (value) => under.shift()!.resolve(value),
    fail: (error) => under.shift()!.reject(error),
  };
}

interface Outcome<V> {
  state: string;
  value: V | undefined;
}

function watched<V>(promise: Promise<V>): Outcome<V> {
  const outcome: Outcome<V> = { state: "waiting", value: undefined };
  promise.then(
    (value) => Object.assign(outcome, { state: "done", value }),
    (error) => Object.assign(outcome, { state: error.code ?? error.message }),
  );
  return outcome;
}

const keyOf = (key: string): string => `cache/1:n/value/${key.length}:${key}`;

describe("a cache", () => {
  test("keeps values for all processes until they are deleted or their time is over", async () => {
    const { cache, time } = desk();
    const [a, b] = [cache<unknown>(), cache<unknown>()];
    expect(await a.get("x")).toBe(undefined);
    await a.set("x", { b: [1, null], a: "ä" });
    expect(await b.get("x")).toEqual({ a: "ä", b: [1, null] });
    expect(Object.isFrozen(await b.get("x"))).toBe(true);
    await b.delete("x");
    expect(await a.get("x")).toBe(undefined);
    await a.set("x", null, { ttl: 100 });
    expect(await a.get("x")).toBe(null);
    await time.advance(100);
    expect(await a.get("x")).toBe(undefined);
  });

  test("keeps the values of two namespaces, and of all keys, apart", async () => {
    const { cache } = desk();
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, name), {
          minLength: 2,
          maxLength: 4,
          selector: (pair) => pair.join("|||"),
        }),
        async (pairs) => {
          for (const [namespace, key] of pairs) await cache({ namespace }).set(key, `${namespace}|||${key}`);
          for (const [namespace, key] of pairs) {
            expect(await cache({ namespace }).get(key)).toBe(`${namespace}|||${key}`);
          }
          for (const [namespace, key] of pairs) await cache({ namespace }).delete(key);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("answers the same whether it was computed or kept, and in one spelling", async () => {
    const { cache, store } = desk();
    const a = cache<unknown>();
    const value = { b: 1, a: undefined, when: new Date(0) };
    const computed = await a.getOrSet("x", () => value);
    expect(computed).toEqual({ b: 1, when: "1970-01-01T00:00:00.000Z" });
    expect(await a.getOrSet("x", () => 7)).toEqual(computed);
    expect((await store.get(keyOf("x")))!.value).toBe(
      '{"since":1,"value":{"b":1,"when":"1970-01-01T00:00:00.000Z"}}',
    );
  });

  test("refuses what cannot be", async () => {
    const { cache } = desk();
    const a = cache<unknown>();
    const codeOf = (promise: Promise<unknown>): Promise<string> =>
      promise.then(() => "done", (error) => error.code ?? error.name);
    for (const key of ["", "\ud800"]) expect(await codeOf(a.set(key, 1))).toBe("VALIDATION");
    for (const value of [undefined, () => {}, 1n, "x".repeat(262_144), new Map()]) {
      expect(await codeOf(a.set("x", value))).toBe("VALIDATION");
    }
    for (const ttl of [0, -1, NaN, 86_400_001]) {
      expect(await codeOf(a.set("x", 1, { ttl }))).toBe("RangeError");
    }
    const tags = Array.from({ length: 17 }, (_, index) => `${index}`);
    expect(await codeOf(a.set("x", 1, { tags }))).toBe("RangeError");
    expect(await codeOf(a.set("k".repeat(600), 1))).toBe("VALIDATION");
    for (
      const more of [{ claim: 50 }, { timeout: 0 }, { patience: NaN }, { ttl: 0 }, { near: { maxAge: 0 } }]
    ) {
      expect(() => cache(more)).toThrow(RangeError);
    }
  });
});

describe("a value that is not there", () => {
  test("is computed once for all who ask, in one process and in ten", async () => {
    const { cache, time } = desk();
    const caches = Array.from({ length: 10 }, () => cache<number>());
    const { compute, answer, signals } = work<number>();
    const asked = Array.from({ length: 100 }, (_, at) => watched(caches[at % 10]!.getOrSet("x", compute)));
    await time.advance(300);
    expect(signals).toHaveLength(1);
    answer(42);
    await time.advance(300);
    expect(asked.every(({ value }) => value === 42)).toBe(true);
    expect(signals).toHaveLength(1);
    expect(caches[0]!.stats()).toMatchObject({ joined: 9, computed: 1, misses: 1 });
  });

  test("is computed by another when who computes it fails, and failures are not kept", async () => {
    const { cache, time, store } = desk();
    const { compute, answer, fail: reject, signals } = work<number>();
    const [a, b] = [cache<number>(), cache<number>()];
    const first = [watched(a.getOrSet("x", compute)), watched(a.getOrSet("x", compute))];
    await settle();
    const second = watched(b.getOrSet("x", compute));
    await time.advance(100);
    reject(new Error("broken"));
    await time.advance(100);
    expect(first.map(({ state }) => state)).toEqual(["broken", "broken"]);
    expect(signals).toHaveLength(2);
    answer(7);
    await settle();
    expect(second.value).toBe(7);
    expect(JSON.parse((await store.get(keyOf("x")))!.value).value).toBe(7);
  });

  test("is not kept when computing answers a failure, but when it answers a success", async () => {
    const { cache } = desk();
    const a = cache<number>();
    const error = await a.getOrSet("x", () => fail("SOLD_OUT", { left: 0 })).catch((thrown) => thrown);
    expect([CatgaError.is(error), error.code, error.data]).toEqual([true, "SOLD_OUT", { left: 0 }]);
    expect(await a.get("x")).toBe(undefined);
    expect(await a.getOrSet("x", () => ok(5))).toBe(5);
    expect(await a.get("x")).toBe(5);
  });

  test("is computed by another soon after who computes it has ended", async () => {
    const { cache, time, store, runtime } = desk();
    const point = new CrashPoint({ at: 2, when: "after", crash: () => {} });
    const dying = cache<number>({ store: point.wrap(store), runtime: { ...runtime, clock: stopped(time) } });
    void dying.getOrSet("x", () => 1).catch(() => {});
    await settle();
    const next = watched(cache<number>().getOrSet("x", () => 2));
    await time.advance(CLAIM - 1);
    expect(next.state).toBe("waiting");
    await time.advance(400);
    expect(next.value).toBe(2);
  });

  test("may take longer than a claim: nobody else computes it meanwhile", async () => {
    const { cache, time } = desk();
    const { compute, answer, signals } = work<number>();
    const asked = [cache<number>({ ttl: 60_000 }), cache<number>()].map((each) =>
      watched(each.getOrSet("x", compute))
    );
    await time.advance(20 * CLAIM);
    expect(signals).toHaveLength(1);
    answer(1);
    await time.advance(CLAIM);
    expect(asked.map(({ state }) => state)).toEqual(["done", "done"]);
  });

  test("is given up when it takes too long or nobody waits any longer, and can be computed at once again", async () => {
    const { cache, time } = desk();
    const a = cache<number>({ timeout: 2000 });
    const { compute, signals, answer } = work<number>();
    const late = watched(a.getOrSet("x", compute));
    await time.advance(2000);
    expect([late.state, signals[0]!.aborted]).toEqual(["TIMEOUT", true]);
    const controllers = [new AbortController(), new AbortController()];
    const gone = controllers.map(({ signal }) => watched(a.getOrSet("x", compute, { signal })));
    await time.advance(100);
    controllers[0]!.abort();
    await settle();
    expect([gone.map(({ state }) => state), signals[1]!.aborted]).toEqual([["CANCELLED", "waiting"], false]);
    controllers[1]!.abort();
    await settle();
    expect([gone[1]!.state, signals[1]!.aborted]).toEqual(["CANCELLED", true]);
    answer(9);
    answer(9);
    await time.advance(100);
    expect(await a.getOrSet("x", () => 10)).toBe(10);
  });

  test("is answered and not kept when it does not fit or cannot be kept", async () => {
    const { cache, events } = desk();
    const a = cache<unknown>();
    const large = "x".repeat(300_000);
    for (const value of [undefined, large, new Map([[1, 2]]), 5n]) {
      expect(await a.getOrSet("x", () => value)).toBe(value);
      expect(await a.get("x")).toBe(undefined);
    }
    const strict = cache<number>({ value: numbers });
    expect(await strict.getOrSet("x", () => "7" as never)).toBe("7" as never);
    expect(await strict.get("x")).toBe(undefined);
    expect(events()).toEqual(Array(5).fill("cache.unkept"));
  });

  test("waits for a place when too many are waited for", async () => {
    const { cache } = desk();
    const a = cache<number>({ waiting: 1 });
    const { compute, answer } = work<number>();
    const first = watched(a.getOrSet("x", compute));
    const joined = watched(a.getOrSet("x", compute));
    expect(await a.getOrSet("y", compute).catch(({ code }) => code)).toBe("OVERLOADED");
    await settle();
    answer(1);
    await settle();
    expect([first.value, joined.value]).toEqual([1, 1]);
  });
});

describe("time", () => {
  test("counts from when computing began", async () => {
    const { cache, time } = desk();
    const a = cache<number>();
    const { compute, answer } = work<number>();
    const first = watched(a.getOrSet("x", compute));
    await time.advance(4000);
    answer(1);
    await settle();
    expect(first.value).toBe(1);
    await time.advance(TTL - 4000 - 1);
    expect(await a.get("x")).toBe(1);
    await time.advance(1);
    expect(await a.get("x")).toBe(undefined);
    const slow = watched(a.getOrSet("x", compute, { ttl: 100 }));
    await time.advance(200);
    answer(2);
    await settle();
    expect([slow.value, await a.get("x")]).toEqual([2, undefined]);
  });

  test("that is over does not end a value that may be stale, while one process computes it anew", async () => {
    const { cache, time } = desk();
    const [a, b] = [
      cache<number>({ staleWhileRevalidate: TTL }),
      cache<number>({ staleWhileRevalidate: TTL }),
    ];
    const { compute, answer, signals } = work<number>();
    expect(await a.getOrSet("x", () => 1)).toBe(1);
    await time.advance(TTL - 1);
    expect(await b.getOrSet("x", compute)).toBe(1);
    expect(signals).toHaveLength(0);
    await time.advance(1);
    for (let times = 0; times < 3; times++) {
      expect([await a.getOrSet("x", compute), await b.getOrSet("x", compute)]).toEqual([1, 1]);
      await time.advance(CLAIM);
    }
    expect(signals).toHaveLength(1);
    answer(2);
    await settle();
    expect([await a.get("x"), await b.getOrSet("x", compute)]).toEqual([2, 2]);
    await time.advance(TTL);
    expect(await a.get("x")).toBe(2);
    await time.advance(TTL);
    expect(await a.get("x")).toBe(undefined);
  });

  test("a value that cannot be computed anew stays for its time, and is tried again now and then", async () => {
    const { cache, time, events } = desk();
    const a = cache<number>({ staleWhileRevalidate: 10 * CLAIM });
    let tries = 0;
    const compute = (): number => {
      if (tries++ > 0) throw new Error("broken");
      return 1;
    };
    await a.getOrSet("x", compute);
    await time.advance(TTL);
    for (let at = 0; at < 100; at++) {
      expect(await a.getOrSet("x", compute)).toBe(1);
      await time.advance(CLAIM / 10 - 1);
    }
    expect(tries).toBeGreaterThan(8);
    expect(tries).toBeLessThan(12);
    expect(new Set(events())).toEqual(new Set(["cache.refresh_failed"]));
    await time.advance(1000);
    expect(await a.getOrSet("x", compute).catch(({ message }) => message)).toBe("broken");
  });

  test("a value that is set while it is computed anew is not covered", async () => {
    const { cache, time, events } = desk();
    const a = cache<number>({ staleWhileRevalidate: TTL });
    const { compute, answer } = work<number>();
    await a.set("x", 1);
    await time.advance(TTL);
    expect(await a.getOrSet("x", compute)).toBe(1);
    await settle();
    await cache<number>({ staleWhileRevalidate: TTL }).set("x", 2);
    answer(3);
    await time.advance(100);
    expect([await a.get("x"), events()]).toEqual([2, []]);
  });
});

describe("what is invalidated", () => {
  test("by a tag is gone, with one write however much it is; the rest stays", async () => {
    const { cache, asked } = desk();
    const [a, b] = [cache<number>(), cache<number>()];
    for (let at = 0; at < 50; at++) {
      await a.set(`k${at}`, at, { tags: ["even", "odd"].slice(at % 2, at % 2 + 1) });
    }
    await a.set("both", 1, { tags: ["odd", "even"] });
    const before = asked["put"]!;
    await b.invalidate("even");
    expect(asked["put"]! - before).toBe(1);
    for (let at = 0; at < 50; at++) expect(await a.get(`k${at}`)).toBe(at % 2 === 0 ? undefined : at);
    expect(await b.get("both")).toBe(undefined);
    await a.set("k0", 7, { tags: ["even"] });
    expect(await b.get("k0")).toBe(7);
  });

  test("while it is computed is not kept: neither by tag, nor by delete, nor when it is set", async () => {
    for (const change of ["invalidate", "delete", "set"] as const) {
      const { cache, time } = desk();
      const [a, b] = [cache<number>(), cache<number>()];
      const { compute, answer } = work<number>();
      const old = watched(a.getOrSet("x", compute, { tags: ["t"] }));
      await settle();
      if (change === "invalidate") await b.invalidate("t");
      if (change === "delete") await b.delete("x");
      if (change === "set") await b.set("x", 5);
      answer(1);
      await time.advance(100);
      expect(old.value).toBe(1);
      expect(await b.get("x")).toBe(change === "set" ? 5 : undefined);
      expect(await b.getOrSet("x", () => 6)).toBe(change === "set" ? 5 : 6);
    }
  });

  test("is not answered in the process to who asks after that, though it is still computed for others", async () => {
    for (const change of ["invalidate", "delete"] as const) {
      const { cache, time } = desk();
      const a = cache<number>();
      const { compute, answer } = work<number>();
      const old = watched(a.getOrSet("x", compute, { tags: ["t"] }));
      await settle();
      await (change === "delete" ? a.delete("x") : a.invalidate("t"));
      const after = watched(a.getOrSet("x", () => 2));
      await time.advance(100);
      answer(1);
      await time.advance(CLAIM);
      expect([old.value, after.value]).toEqual([1, change === "delete" ? 2 : after.value]);
      expect(after.value).toBe(2);
    }
  });

  test("stays so for as long as any value may, and leaves nothing in the store after that", async () => {
    const { cache, time, store } = desk();
    const a = cache<number>({ longest: 20_000 });
    await a.set("x", 1, { ttl: 20_000, tags: ["t"] });
    await a.invalidate("t");
    await time.advance(20_000 - 1);
    expect(await a.get("x")).toBe(undefined);
    await time.advance(1000);
    expect(await store.list("")).toEqual([]);
  });
});

describe("what does not fit", () => {
  test("is a miss, is said, and is computed anew", async () => {
    const wrong = [
      "{",
      "null",
      "7",
      "[]",
      '{"value":"seven"}',
      '{"value":1,"tags":[1]}',
      '{"value":1,"since":"x"}',
    ];
    for (const text of [...wrong, '{"a":1,"__proto__":{}}', `{"value":${"[".repeat(70)}${"]".repeat(70)}}`]) {
      const { cache, store, events } = desk();
      await store.put(keyOf("x"), text);
      const a = cache<number>({ value: numbers });
      expect(await a.get("x")).toBe(undefined);
      expect(events()).toEqual(["cache.poisoned"]);
      expect(a.stats().poisoned).toBe(1);
      expect(await a.getOrSet("x", () => 3)).toBe(3);
      expect(await a.get("x")).toBe(3);
    }
  });
});

describe("a store that cannot be asked", () => {
  test("is gone around: values are computed, and kept by nobody", async () => {
    for (const fate of ["refused", "lost", "hang"] as const) {
      const made = desk();
      const a = made.cache<number>();
      made.fate = fate;
      let computed = 0;
      const asked = Array.from({ length: 5 }, () => watched(a.getOrSet("x", () => ++computed)));
      await made.time.advance(2000);
      expect(asked.map(({ value }) => value)).toEqual([1, 1, 1, 1, 1]);
      const found = watched(a.get("x"));
      await made.time.advance(500);
      expect(found).toEqual({ state: "done", value: undefined });
      made.fate = undefined;
      await made.time.advance(2000);
      expect(await a.get("x")).toBe(undefined);
    }
  });

  test("makes reading fail where that is asked for, and changing always", async () => {
    const made = desk();
    const a = made.cache<number>({ whenDown: "fail" });
    made.fate = "refused";
    const outcomes = [
      a.get("x"),
      a.getOrSet("x", () => 1),
      a.set("x", 1),
      a.delete("x"),
      a.invalidate("t"),
    ].map((promise) => watched<unknown>(promise));
    await made.time.advance(2000);
    expect(outcomes.map(({ state }) => state)).toEqual(Array(5).fill("UNAVAILABLE"));
  });

  test("is left alone for a while after it failed again and again, and that is said once", async () => {
    const made = desk();
    const a = made.cache<number>();
    made.fate = "hang";
    for (let times = 0; times < 20; times++) {
      const value = watched(a.getOrSet(`${times}`, () => times));
      await made.time.advance(times < 2 ? 400 : 0);
      await settle();
      expect(value.value).toBe(times);
    }
    expect(made.asked["get"]).toBeLessThan(5);
    expect(made.events()).toEqual(["cache.unreachable"]);
    made.fate = undefined;
    await made.time.advance(1000);
    await a.set("x", 1);
    expect(await a.get("x")).toBe(1);
  });

  test("that loses the answer to a claim does not make its owner wait for itself", async () => {
    const { cache, store, time } = desk();
    let puts = 0;
    const put: Store["put"] = async (key, value, options) => {
      const revision = await store.put(key, value, options);
      if (++puts === 1) throw new CatgaError(systemFault("TRANSPORT", "not answered"));
      return revision;
    };
    const a = cache<number>({ store: { ...methods(store), put } });
    const value = watched(a.getOrSet("x", () => 1));
    await time.advance(CLAIM / 2);
    expect([value.value, await a.get("x"), puts]).toEqual([1, 1, 2]);
  });

  test("that loses answers keeps what was set, and what was set last", async () => {
    const made = desk();
    const a = made.cache<number>();
    made.fate = "unanswered";
    const set = watched(a.set("x", 1));
    await made.time.advance(3000);
    expect(set.state).toBe("TRANSPORT");
    made.fate = undefined;
    await a.set("x", 2);
    expect(await a.get("x")).toBe(2);
  });

  test("may not do late what was asked for before something newer", async () => {
    const { cache, store, runtime, time } = desk();
    const late: (() => void)[] = [];
    let delays = true;
    const slow: Store = {
      ...methods(store),
      put: (key, value, options) =>
        delays
          ? new Promise((resolve, reject) =>
            late.push(() => void store.put(key, value, options).then(resolve, reject))
          )
          : store.put(key, value, options),
    };
    const a = createCache<number>({
      store: slow,
      runtime,
      namespace: "n",
      value: type<number>(),
      patience: 100,
    });
    const old = watched(a.set("x", 1));
    await time.advance(1000);
    expect(old.state).toBe("TRANSPORT");
    delays = false;
    await cache<number>().set("x", 2);
    for (const go of late) go();
    await settle();
    expect(await cache<number>().get("x")).toBe(2);
  });

  test("may not do late what was asked for before the value was deleted", async () => {
    const { cache, store, runtime, time } = desk();
    const late: (() => void)[] = [];
    let delayed = 1;
    const slow: Store = {
      ...methods(store),
      put: (key, value, { expected, ttl } = {}) =>
        value.includes('"value"') && delayed-- > 0
          ? new Promise((resolve, reject) =>
            late.push(() => void store.put(key, value, { expected, ttl }).then(resolve, reject))
          )
          : store.put(key, value, { expected, ttl }),
    };
    const a = createCache<number>({
      store: slow,
      runtime,
      namespace: "n",
      value: type<number>(),
      patience: 100,
    });
    const old = watched(a.set("x", 1));
    await time.advance(1000);
    expect([late.length, old.state]).toEqual([1, "done"]);
    await cache<number>().delete("x");
    for (const go of late) go();
    await settle();
    expect(await cache<number>().get("x")).toBeUndefined();
  });
});

describe("a value that is kept near", () => {
  const near = { maxAge: 5000 };

  test("is answered without the store, until somebody changes it", async () => {
    const made = desk();
    const { cache, asked } = made;
    const [a, b] = [cache<number>({ near }), cache<number>()];
    await a.get("warm");
    await settle();
    for (const change of ["set", "delete", "invalidate"] as const) {
      await b.set("x", 1, { tags: ["t"] });
      await settle();
      expect(await a.get("x")).toBe(1);
      const before = asked["get"];
      for (let times = 0; times < 10; times++) {
        expect([await a.get("x"), await a.getOrSet("x", () => 7)]).toEqual([1, 1]);
      }
      expect(asked["get"]).toBe(before);
      if (change === "set") await b.set("x", 2);
      if (change === "delete") await b.delete("x");
      if (change === "invalidate") await b.invalidate("t");
      await settle();
      expect(await a.get("x")).toBe(change === "set" ? 2 : undefined);
    }
    expect(a.stats().near).toBe(60);
  });

  test("is gone at once for who changes it", async () => {
    for (const change of ["set", "delete", "invalidate"] as const) {
      const { cache } = desk();
      const a = cache<number>({ near, store: silent(desk().store) });
      await a.set("x", 1, { tags: ["t"] });
      expect(await a.get("x")).toBe(1);
      if (change === "set") await a.set("x", 2);
      if (change === "delete") await a.delete("x");
      if (change === "invalidate") await a.invalidate("t");
      expect(await a.get("x")).toBe(change === "set" ? 2 : undefined);
    }
  });

  test("is let go when what happened while the watch was away cannot be told", async () => {
    const { cache, store, time } = desk();
    let cut = (): void => {};
    async function* watch(prefix: string): AsyncGenerator<Change> {
      const away = new Promise<never>((_, reject) => cut = () => reject(new Error("away")));
      const changes = store.watch(prefix)[Symbol.asyncIterator]();
      for (;;) {
        const next = await Promise.race([changes.next(), away]);
        if (next.done === true) return;
        yield next.value;
      }
    }
    const a = cache<number>({ near: { maxAge: 60_000 }, store: { ...methods(store), watch } });
    await a.get("warm");
    await cache<number>().set("x", 1);
    await settle();
    expect(await a.get("x")).toBe(1);
    cut();
    await settle();
    await cache<number>().delete("x");
    await time.advance(100);
    expect(await a.get("x")).toBe(undefined);
  });

  test("that was read late in its time is computed anew when that is over", async () => {
    const { cache, time } = desk();
    await cache<number>({ staleWhileRevalidate: TTL }).set("x", 1);
    const a = cache<number>({ near: { maxAge: 60_000 }, staleWhileRevalidate: TTL });
    await a.get("warm");
    await time.advance(TTL / 2);
    expect([await a.get("x"), a.stats().hits]).toEqual([1, 1]);
    await time.advance(TTL / 2);
    expect(await a.getOrSet("x", () => 2)).toBe(1);
    await settle();
    expect(await a.get("x")).toBe(2);
  });

  test("is at most so old where no word of changes comes", async () => {
    for (const watch of [silence, broken]) {
      const { cache, store, time } = desk();
      const a = cache<number>({ near, store: { ...methods(store), watch } });
      await cache<number>().set("x", 1, { ttl: 60_000 });
      expect(await a.get("x")).toBe(1);
      await cache<number>().set("x", 2, { ttl: 60_000 });
      await time.advance(4999);
      expect(await a.get("x")).toBe(1);
      await time.advance(1);
      expect(await a.get("x")).toBe(2);
    }
  });

  test("is not kept when word of a change overtakes it", async () => {
    const { cache, store } = desk();
    let hold: (() => void) | undefined;
    const slow: Store = {
      ...methods(store),
      get: async (key) => {
        const entry = await store.get(key);
        if (hold === undefined && key === keyOf("x")) await new Promise<void>((resolve) => hold = resolve);
        return entry;
      },
    };
    const a = cache<number>({ near, store: slow });
    const b = cache<number>();
    await a.get("warm");
    await b.set("x", 1);
    const read = watched(a.get("x"));
    await settle();
    await b.set("x", 2);
    await settle();
    hold!();
    await settle();
    expect(read.value).toBe(1);
    expect(await a.get("x")).toBe(2);
  });

  test("goes when its time is over, and when it is stale is computed anew", async () => {
    const { cache, time } = desk();
    const a = cache<number>({ near: { maxAge: 60_000 }, staleWhileRevalidate: TTL });
    await a.getOrSet("x", () => 1);
    await time.advance(TTL);
    expect(await a.getOrSet("x", () => 2)).toBe(1);
    await settle();
    expect(await a.getOrSet("x", () => 3)).toBe(2);
  });

  test("is answered for a while when the store cannot be asked, and no longer", async () => {
    const made = desk();
    const a = made.cache<number>({ near: { maxAge: 1000, staleIfDown: 20_000 }, ttl: 60_000 });
    await a.get("warm");
    await a.set("x", 1);
    await settle();
    await a.get("x");
    made.fate = "refused";
    await made.time.advance(20_000);
    expect([await a.get("x"), await a.getOrSet("x", () => 2)]).toEqual([1, 1]);
    await made.time.advance(1000);
    expect(await a.getOrSet("x", () => 2)).toBe(2);
  });

  test("takes no more room than there is", async () => {
    const { cache, asked } = desk();
    const a = cache<string>({ near: { entries: 10 } });
    for (let at = 0; at < 20; at++) await a.set(`${at}`, "v");
    for (let at = 0; at < 20; at++) await a.get(`${at}`);
    const before = asked["get"]!;
    for (let at = 10; at < 20; at++) await a.get(`${at}`);
    expect(asked["get"]).toBe(before);
    await a.get("0");
    expect(asked["get"]).toBe(before + 1);
  });

  test("was computed without the store: it is kept for a moment", async () => {
    const made = desk();
    const a = made.cache<number>({ near });
    await a.get("warm");
    await settle();
    made.fate = "refused";
    let computed = 0;
    for (let times = 0; times < 10; times++) expect(await a.getOrSet("x", () => ++computed)).toBe(1);
    await made.time.advance(5000);
    expect(await a.getOrSet("x", () => ++computed)).toBe(2);
  });
});

test("a cache that is disposed of refuses calls and leaves nothing behind", async () => {
  const { cache, time } = desk();
  const a = cache<number>({ near: {}, staleWhileRevalidate: TTL });
  const { compute, signals } = work<number>();
  await a.set("old", 1);
  await time.advance(TTL);
  await a.getOrSet("old", compute);
  const waiting = watched(a.getOrSet("x", compute));
  await time.advance(100);
  await a[Symbol.asyncDispose]();
  await settle();
  expect([waiting.state, signals.map(({ aborted }) => aborted)]).toEqual(["CANCELLED", [true, true]]);
  expect(await a.get("x").catch(({ code }) => code)).toBe("CANCELLED");
  await time.advance(10_000);
  expect(time.pending()).toBe(0);
});

test("a process that ends at any of its steps leaves nothing behind that others wait for or that is too old", async () => {
  const life = async (at: number, when: "before" | "after"): Promise<number> => {
    const { cache, store, runtime, time } = desk();
    let ended = false;
    const point = new CrashPoint({ at, when, crash: () => ended = true });
    const clock = {
      ...time.clock,
      timer: (ms: number, run: () => void) => time.clock.timer(ms, () => ended || run()),
    };
    const a = cache<number>({
      store: point.wrap(store),
      runtime: { ...runtime, clock },
      staleWhileRevalidate: TTL,
      tags: ["t"],
    });
    let source = 1;
    let invalidated = 0;
    void (async () => {
      await a.getOrSet("x", () => source);
      await new Promise<void>((resolve) => void clock.timer(TTL, resolve));
      await a.getOrSet("x", () => source);
      await new Promise<void>((resolve) => void clock.timer(CLAIM, resolve));
      source = 2;
      await a.invalidate("t");
      invalidated = 2;
      await a.getOrSet("x", () => source);
      source = 3;
      await a.set("x", 3);
      invalidated = 3;
      source = 4;
      await a.delete("x");
      invalidated = 4;
      await a.getOrSet("x", () => source);
    })().catch(() => {});
    await time.advance(TTL + 2 * CLAIM);
    for (let turns = 0; turns < 10; turns++) await settle();
    const least = invalidated;
    const found = watched(
      cache<number>({ tags: ["t"], staleWhileRevalidate: TTL }).getOrSet("x", () => source),
    );
    await time.advance(2 * CLAIM);
    expect(found.state).toBe("done");
    expect(found.value!).toBeGreaterThanOrEqual(least);
    return point.passed;
  };
  const steps = await life(Infinity, "before");
  expect(steps).toBeGreaterThan(20);
  for (let at = 1; at <= steps; at++) for (const when of ["before", "after"] as const) await life(at, when);
});

const name = fc.oneof(
  fc.constantFrom("a", "ab", "1:a", "2:ab", "a/value/1:a", "value", "tag/1:a", "/", ":", "%"),
  fc.string({ minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed()),
);

const numbers: Schema<unknown, number> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => typeof value === "number" ? { value } : { issues: [{ message: "no number" }] },
  },
};

function stopped(time: FakeRuntime): Runtime["clock"] {
  return { ...time.clock, timer: () => () => {} };
}

function methods(store: Store): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
  };
}

function silent(store: Store): Store {
  return { ...methods(store), watch: silence };
}

// deno-lint-ignore require-yield
async function* silence(): AsyncGenerator<never> {
  await new Promise<never>(() => {});
}

// deno-lint-ignore require-yield
async function* broken(): AsyncGenerator<never> {
  await Promise.reject(new CatgaError(systemFault("TRANSPORT", "broken")));
}
