/** The store within a process, as every store is promised to be, and its own limits. */

import { describe, expect, test } from "bun:test";
import { memory, memoryStore } from "@catga/catga/memory";
import type { Change, Store } from "@catga/catga/ports";
import { storeConformance, type StoreUnderTest } from "@catga/catga/testing";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

function underTest(
  change: (store: Store, runtime: FakeRuntime) => Partial<Store> = () => ({}),
): StoreUnderTest {
  const runtime = fakeRuntime();
  const store = memoryStore({ clock: runtime.clock });
  const changed: Store = {
    durability: store.durability,
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    ...change(store, runtime),
  };
  return { store: changed, pass: (ms) => runtime.advance(ms) };
}

describe("the memory store is a store", () => {
  for (const { name, run } of storeConformance(() => Promise.resolve(underTest()))) test(name, run);
});

describe("the conformance suite notices", () => {
  const broken: Readonly<Record<string, (store: Store, runtime: FakeRuntime) => Partial<Store>>> = {
    "a store that does not say what survives of it": () => ({ durability: undefined }),
    "a put that ignores what was expected": (store) => ({
      put: (key, value, { ttl, signal } = {}) => store.put(key, value, { ttl, signal }),
    }),
    "a put that looks first and writes later": (store) => ({
      put: async (key, value, { expected, ...options } = {}) => {
        const found = (await store.get(key))?.revision ?? "absent";
        if (expected !== undefined && found !== expected) {
          return store.put(key, value, { expected, ...options });
        }
        await Promise.resolve();
        return store.put(key, value, options);
      },
    }),
    "a delete that ignores what was expected": (store) => ({ delete: (key) => store.delete(key) }),
    "a conflict that does not say what was found": (store) => ({
      put: (key, value, options) =>
        store.put(key, value, options).catch((error) => Promise.reject(Object.assign(error, { data: {} }))),
    }),
    "revisions of each key's own": (store) => {
      const counts = new Map<string, number>();
      return {
        put: async (key, value, options) => {
          await store.put(key, value, options);
          counts.set(key, (counts.get(key) ?? 0) + 1);
          return counts.get(key)!;
        },
      };
    },
    "entries that never go": (store) => ({
      put: (key, value, { expected, signal } = {}) => store.put(key, value, { expected, signal }),
    }),
    "a time to live that is not counted anew": (store, { clock }) => {
      const ends = new Map<string, number>();
      return {
        put: (key, value, { ttl, ...options } = {}) => {
          if (ttl === undefined || !(ttl > 0 && ttl < Infinity)) {
            return store.put(key, value, { ttl, ...options });
          }
          if (!(ends.get(key)! > clock.mono())) ends.set(key, clock.mono() + ttl);
          return store.put(key, value, { ...options, ttl: ends.get(key)! - clock.mono() });
        },
      };
    },
    "a list without its limit": (store) => ({ list: (prefix) => store.list(prefix) }),
    "a list in another order": (store) => ({
      list: async (prefix, options) => (await store.list(prefix, options)).toReversed(),
    }),
    "a list that goes by UTF-16": (store) => ({
      list: async (prefix, { limit, after = "", ...options } = {}) => {
        const all = await store.list(prefix, { limit: limit && 10_000, ...options });
        return all.filter(({ key }) => key > after).toSorted((a, b) => a.key < b.key ? -1 : 1).slice(
          0,
          limit,
        );
      },
    }),
    "a list that ignores what it goes on after": (store) => ({
      list: (prefix, { limit, signal } = {}) => store.list(prefix, { limit, signal }),
    }),
    "a list that begins with what it goes on after": (store) => ({
      list: async (prefix, { after, limit = 1000, signal } = {}) => {
        const found = after ? await store.get(after) : undefined;
        const rest = await store.list(prefix, { after, limit, signal });
        return found === undefined ? rest : [found, ...rest].slice(0, limit);
      },
    }),
    "a list that goes on only after what is there": (store) => ({
      list: async (prefix, { after, ...options } = {}) =>
        after && await store.get(after) === undefined ? [] : store.list(prefix, { after, ...options }),
    }),
    "a list of everything": (store) => ({ list: (_, options) => store.list("", options) }),
    "a watch of everything": (store) => ({ watch: (_, options) => store.watch("", options) }),
    "a watch that does not tell what is there": (store) => ({
      watch: (prefix, options) => filtered(store.watch(prefix, options), (_, isReady) => isReady),
    }),
    "a watch that tells of no deletes": (store) => ({
      watch: (prefix, options) => filtered(store.watch(prefix, options), ({ type }) => type !== "delete"),
    }),
    "a watch that is never ready": (store) => ({
      watch: (prefix, options) => filtered(store.watch(prefix, options), ({ type }) => type !== "ready"),
    }),
    "a watch that does not end": (store) => ({ watch: (prefix) => store.watch(prefix) }),
    "a watch that keeps everything for a slow reader": (store) => ({
      watch: (prefix, options) => hoarded(store.watch(prefix, options)),
    }),
    "a signal that is not looked at": (store) => ({
      put: (key, value, { expected, ttl } = {}) => store.put(key, value, { expected, ttl }),
    }),
    "an empty value that counts as none": (store) => ({
      get: async (key, options) => {
        const entry = await store.get(key, options);
        return entry?.value === "" ? undefined : entry;
      },
    }),
  };
  for (const [name, change] of Object.entries(broken)) {
    test(name, async () => {
      const checks = storeConformance(() => Promise.resolve(underTest(change)));
      const outcomes = await Promise.allSettled(checks.map(({ run }) => run()));
      expect(outcomes.filter(({ status }) => status === "rejected").length).toBeGreaterThan(0);
    });
  }
});

describe("the memory store", () => {
  test("is one for all nodes of a backend", async () => {
    const backend = memory();
    const [a, b] = ["a", "b"].map((id) =>
      backend.open({ self: { id, endpoint: `memory:${id}` }, runtime: fakeRuntime() }).store!
    );
    const revision = await a!.put("key", "value");
    expect(await b!.get("key")).toEqual({ key: "key", value: "value", revision });
    expect(
      await memory().open({ self: { id: "c", endpoint: "c" }, runtime: fakeRuntime() }).store!.get("key"),
    )
      .toBe(undefined);
  });

  test("takes so many entries and so many bytes, and room comes back with time", async () => {
    const { clock, advance } = fakeRuntime();
    const store = memoryStore({ clock, keys: 3, bytes: 40 });
    await store.put("a", "1", { ttl: 100 });
    await store.put("b", "1");
    await store.put("c", "1");
    expect(await codeOf(store.put("d", "1"))).toBe("OVERLOADED");
    await store.put("b", "2");
    await advance(100);
    await store.put("d", "1");
    await store.delete("d");
    expect(await codeOf(store.put("e", "0123456789123456"))).toBe("OVERLOADED");
    await store.put("e", "01234567");
    expect(await codeOf(store.put("e", "0123456789123456"))).toBe("OVERLOADED");
    expect((await store.get("e"))?.value).toBe("01234567");
    expect((await store.list("")).map(({ key }) => key)).toEqual(["b", "c", "e"]);
  });

  test("refuses what cannot be written as UTF-8 and would come back as something else", async () => {
    const store = memoryStore({ clock: fakeRuntime().clock });
    for (const odd of ["\ud800", "a\udc00", "\udc00\ud800"]) {
      expect(await codeOf(store.put(odd, ""))).toBe("VALIDATION");
      expect(await codeOf(store.get(odd))).toBe("VALIDATION");
      expect(await codeOf(store.delete(odd))).toBe("VALIDATION");
      expect(await codeOf(store.put("a", odd))).toBe("VALIDATION");
    }
    await store.put("\ud83d\ude00", "\ud83d\ude00");
  });

  test("takes so many watches", async () => {
    const store = memoryStore({ clock: fakeRuntime().clock, watches: 1 });
    const first = store.watch("")[Symbol.asyncIterator]();
    await first.next();
    expect(await codeOf(store.watch("")[Symbol.asyncIterator]().next())).toBe("OVERLOADED");
    await first.return?.();
    await store.watch("")[Symbol.asyncIterator]().next();
    expect(() => memoryStore({ clock: fakeRuntime().clock, keys: 0 })).toThrow(RangeError);
  });

  test("forgets a watch when its signal aborts, though nobody reads on", async () => {
    const runtime = fakeRuntime();
    const store = memoryStore({ clock: runtime.clock, watches: 1 });
    await store.put("a", "", { ttl: 1000 });
    const controller = new AbortController();
    const left = store.watch("", { signal: controller.signal })[Symbol.asyncIterator]();
    await left.next();
    expect(runtime.pending()).toBe(1);
    controller.abort();
    expect(runtime.pending()).toBe(0);
    const next = store.watch("")[Symbol.asyncIterator]();
    expect((await next.next()).done).toBe(false);
    expect((await left.next()).done).toBe(true);
    // The first one is not still counted, nor taken off twice.
    expect(await codeOf(store.watch("")[Symbol.asyncIterator]().next())).toBe("OVERLOADED");
    await next.return?.();
  });

  test("drops an entry in time, though times are fractions that do not add up", async () => {
    // The last bits of these sums differ, so that a timer for the rest of the time comes one too early.
    const times = [
      [0.1823620328729021, 8.166204548260225, 31587.4788475321],
      [1.0427178143185074, 0.9920071889426936, 2769.7106420495593],
      [8.659205664338288, 4.565504563368677, 44358.07383140069],
    ] as const;
    for (const [put, watched, ttl] of times) {
      const runtime = fakeRuntime();
      const store = memoryStore({ clock: runtime.clock });
      await runtime.advance(put);
      await store.put("a", "", { ttl });
      await runtime.advance(watched);
      const reader = store.watch("")[Symbol.asyncIterator]();
      for (let told = 0; told < 2; told++) await reader.next();
      let gone = false;
      void reader.next().then(({ value }) => gone = (value as Change).type === "delete");
      await runtime.advance(ttl);
      expect([ttl, gone, runtime.pending()]).toEqual([ttl, true, 0]);
      await reader.return?.();
    }
  });

  test("keeps no process alive while nobody watches, and no more than one timer for an entry", async () => {
    const runtime = fakeRuntime();
    const store = memoryStore({ clock: runtime.clock });
    for (const key of ["a", "b"]) await store.put(key, "", { ttl: 1000 });
    expect(runtime.pending()).toBe(0);
    const reader = store.watch("")[Symbol.asyncIterator]();
    await reader.next();
    expect(runtime.pending()).toBe(2);
    for (let times = 0; times < 10; times++) await store.put("a", "", { ttl: 1000 });
    expect(runtime.pending()).toBe(2);
    await store.delete("b");
    await store.put("a", "");
    expect(runtime.pending()).toBe(0);
    await store.put("a", "", { ttl: 1000 });
    await reader.return?.();
    expect(runtime.pending()).toBe(0);
  });

  test("a watch does not tell of what came and went unread, and keeps nothing of it", async () => {
    const store = memoryStore({ clock: fakeRuntime().clock });
    const reader = store.watch("")[Symbol.asyncIterator]();
    await reader.next();
    for (let at = 0; at < 100; at++) {
      await store.put(`${at}`, "");
      await store.delete(`${at}`);
    }
    const revision = await store.put("end", "");
    expect((await reader.next()).value).toEqual({ type: "put", entry: { key: "end", value: "", revision } });
    await reader.return?.();
  });

  test("a watch is ready after all that was there, also when it changes before it is read", async () => {
    const store = memoryStore({ clock: fakeRuntime().clock });
    await store.put("a", "1");
    await store.put("b", "1");
    await store.put("c", "1");
    const reader = store.watch("")[Symbol.asyncIterator]();
    await reader.next();
    await store.put("b", "2");
    await store.delete("c");
    await store.put("d", "1");
    const told: unknown[] = [];
    for (let times = 0; times < 3; times++) told.push(shown((await reader.next()).value as Change));
    expect(told).toEqual(["b 2", "ready", "d 1"]);
    await reader.return?.();
  });
});

function shown(change: Change): string {
  if (change.type === "ready") return "ready";
  return change.type === "put" ? `${change.entry.key} ${change.entry.value}` : `${change.key} gone`;
}

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(() => "ok", (error: { code: string }) => error.code);
}

async function* filtered(
  changes: AsyncIterable<Change>,
  passes: (change: Change, isReady: boolean) => boolean,
): AsyncGenerator<Change> {
  let isReady = false;
  for await (const change of changes) {
    isReady ||= change.type === "ready";
    if (passes(change, isReady)) yield change;
  }
}

async function* hoarded(changes: AsyncIterable<Change>): AsyncGenerator<Change> {
  const kept: Change[] = [];
  let wake = (): void => {};
  void (async () => {
    for await (const change of changes) {
      kept.push(change);
      wake();
    }
  })();
  for (;;) {
    const change = kept.shift();
    if (change !== undefined) yield change;
    else await new Promise<void>((resolve) => wake = resolve);
  }
}
