/** One holder at a time, who knows when it is one no more. */

import { describe, expect, test } from "bun:test";
import { CatgaError, systemFault } from "@catga/catga";
import { acquireLease, type Lease, leaseHolder, type LeaseOptions } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Change, Entry, Runtime, Store } from "@catga/catga/ports";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

const KEY = "leases/x";
const TTL = 3000;

/** What a request meets: it fails before or after it was done, is never answered, or answered so many ms late. */
type Fate = "refused" | "before" | "after" | "hang" | number;
type Method = "get" | "put" | "delete";

interface Desk {
  readonly time: FakeRuntime;
  readonly runtime: Runtime;
  readonly store: Store;
  /** What the next requests of the holder "a" meet, by method. */
  readonly fates: Record<Method, (Fate | undefined)[]>;
  /** What all further requests of "a" meet. */
  always: Fate | undefined;
  /** The requests of "a". */
  readonly asked: string[];
  acquire(owner: string, options?: Partial<LeaseOptions>): Attempt;
  holder(): Promise<{ owner: string; token: number } | undefined>;
}

interface Attempt {
  lease: Lease | undefined;
  /** `waiting`, `held` or the code of the failure. */
  state: string;
  data: unknown;
}

function desk(): Desk {
  const time = fakeRuntime();
  const runtime: Runtime = {
    ...time,
    random: { u32: numbers() },
    background: (work) => void work.catch(() => {}),
  };
  const store = memoryStore({ clock: time.clock });
  const fates: Desk["fates"] = { get: [], put: [], delete: [] };
  const asked: string[] = [];
  const meet = async <T>(method: Method, work: () => Promise<T>): Promise<T> => {
    asked.push(method);
    const fate = fates[method].shift() ?? made.always;
    if (fate === "refused") throw new CatgaError(systemFault("UNAVAILABLE", "refused"));
    if (fate === "before") throw new CatgaError(systemFault("TRANSPORT", "lost"));
    if (fate === "hang") return new Promise<never>(() => {});
    const value = await work();
    if (fate === "after") throw new CatgaError(systemFault("TRANSPORT", "not answered"));
    if (fate !== undefined) await new Promise<void>((resolve) => void time.clock.timer(fate, resolve));
    return value;
  };
  const unsteady: Store = {
    get: (key) => meet("get", () => store.get(key)),
    put: (key, value, { expected, ttl } = {}) => meet("put", () => store.put(key, value, { expected, ttl })),
    delete: (key, { expected } = {}) => meet("delete", () => store.delete(key, { expected })),
    list: (prefix) => store.list(prefix),
    watch: (prefix, options) => store.watch(prefix, options),
  };
  const made: Desk = {
    time,
    runtime,
    store,
    fates,
    always: undefined,
    asked,
    acquire: (owner, options = {}) => {
      const attempt: Attempt = { lease: undefined, state: "waiting", data: undefined };
      acquireLease(KEY, { store: owner === "a" ? unsteady : store, runtime, owner, ttl: TTL, ...options })
        .then(
          (lease) => Object.assign(attempt, { lease, state: "held" }),
          (error: CatgaError) =>
            Object.assign(attempt, { state: error.code ?? error.name, data: error.data }),
        );
      return attempt;
    },
    holder: async () => leaseHolder(await store.get(KEY)),
  };
  return made;
}

/** Random numbers that differ. */
function numbers(): () => number {
  let last = 1;
  return () => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0;
}

async function held(attempt: Attempt): Promise<Lease> {
  await settle();
  expect(attempt.state).toBe("held");
  return attempt.lease!;
}

describe("a lease", () => {
  test("has the revision of its acquisition as its token, and the store says who holds it", async () => {
    const { acquire, store, holder } = desk();
    const before = await store.put("other", "");
    const lease = await held(acquire("a"));
    expect(lease.token).toBe(before + 1);
    expect((await store.get(KEY))!.revision).toBe(lease.token);
    expect(await holder()).toEqual({ owner: "a", token: lease.token });
    expect([lease.key, lease.owner, lease.held(), lease.signal.aborted]).toEqual([KEY, "a", true, false]);
    lease.assertHeld();
  });

  test("is renewed at each third of its time, under the same token", async () => {
    const { acquire, time, holder, asked } = desk();
    const lease = await held(acquire("a"));
    await time.advance(TTL / 3 - 1);
    expect(asked.filter((method) => method === "put")).toHaveLength(1);
    await time.advance(1);
    expect(asked.filter((method) => method === "put")).toHaveLength(2);
    await time.advance(100 * TTL);
    expect(asked).toHaveLength(1 + 301);
    expect(lease.held()).toBe(true);
    expect(await holder()).toEqual({ owner: "a", token: lease.token });
  });

  test("is given on at once when it is released, with a larger token", async () => {
    const { acquire, time, holder } = desk();
    const lease = await held(acquire("a"));
    const next = acquire("b");
    await time.advance(10 * TTL);
    expect(next.state).toBe("waiting");
    const { signal } = lease;
    const released = lease.release();
    expect([lease.held(), signal.aborted, signal.reason.code]).toEqual([false, true, "CANCELLED"]);
    expect(() => lease.assertHeld()).toThrow("released");
    await released;
    expect((await held(next)).token).toBeGreaterThan(lease.token);
    expect((await holder())?.owner).toBe("b");
  });

  test("is given on when its holder is heard of no more", async () => {
    const made = desk();
    const lease = await held(made.acquire("a"));
    const next = made.acquire("b");
    await made.time.advance(TTL / 2);
    made.always = "before";
    await made.time.advance(TTL / 3 + TTL - TTL / 2 - 1);
    expect([lease.held(), next.state]).toEqual([false, "waiting"]);
    await made.time.advance(1);
    expect((await held(next)).token).toBeGreaterThan(lease.token);
  });

  test("excludes other claims of the same owner", async () => {
    const { acquire } = desk();
    await held(acquire("a"));
    const again = acquire("a");
    await settle();
    expect(again.state).toBe("waiting");
  });

  test("goes to one of many that wait", async () => {
    const { acquire, time } = desk();
    const lease = await held(acquire("a"));
    const others = ["b", "c", "d", "e"].map((owner) => acquire(owner));
    await time.advance(TTL);
    await lease.release();
    await time.advance(TTL);
    expect(others.filter(({ state }) => state === "held")).toHaveLength(1);
  });

  test("leaves no timer and no entry behind", async () => {
    const { acquire, time, store } = desk();
    const lease = await held(acquire("a"));
    const next = acquire("b");
    await settle();
    await lease[Symbol.asyncDispose]();
    await lease[Symbol.asyncDispose]();
    await (await held(next)).release();
    await settle();
    expect(time.pending()).toBe(0);
    expect(await store.list("")).toEqual([]);
  });
});

describe("waiting for a lease", () => {
  test("ends with TIMEOUT, which names the holder", async () => {
    const { acquire, time } = desk();
    const lease = await held(acquire("a"));
    const late = acquire("b", { timeout: 5000 });
    await time.advance(4999);
    expect(late.state).toBe("waiting");
    await time.advance(1);
    expect([late.state, late.data]).toEqual(["TIMEOUT", { holder: { owner: "a", token: lease.token } }]);
  });

  test("does not begin with a timeout of 0", async () => {
    const { acquire } = desk();
    const lease = await held(acquire("a", { timeout: 0 }));
    const refused = acquire("b", { timeout: 0 });
    await settle();
    expect([refused.state, refused.data]).toEqual(["CONFLICT", {
      holder: { owner: "a", token: lease.token },
    }]);
  });

  test("ends with the signal, also of a store that hangs, and leaves nothing", async () => {
    const { acquire, fates, time, store } = desk();
    const controller = new AbortController();
    fates.put.push("hang");
    const attempt = acquire("a", { signal: controller.signal });
    await settle();
    controller.abort();
    await settle();
    expect(attempt.state).toBe("CANCELLED");
    await time.advance(TTL);
    expect([time.pending(), await store.get(KEY)]).toEqual([0, undefined]);
  });

  test("does not begin when the signal has aborted", async () => {
    const { acquire, asked } = desk();
    const attempt = acquire("a", { signal: AbortSignal.abort() });
    await settle();
    expect([attempt.state, asked]).toEqual(["CANCELLED", []]);
  });

  test("that is given up takes back what may have been written", async () => {
    const { acquire, fates, time, holder } = desk();
    const controller = new AbortController();
    fates.put.push(100);
    const attempt = acquire("a", { signal: controller.signal });
    await settle();
    expect((await holder())?.owner).toBe("a");
    controller.abort();
    await settle();
    expect([attempt.state, await holder()]).toEqual(["CANCELLED", undefined]);
    await time.advance(100);
    expect(time.pending()).toBe(0);
  });

  test("goes on by looking when watches break off or tell nothing", async () => {
    for (const watch of [broken, silent]) {
      const { acquire, time, store } = desk();
      const lease = await held(acquire("a"));
      const next = acquire("b", { store: { ...methods(store), watch } });
      await time.advance(TTL);
      await lease.release();
      await time.advance(TTL / 2);
      await held(next);
    }
  });

  test("begins to follow again after a watch broke off", async () => {
    const { acquire, time, store } = desk();
    const lease = await held(acquire("a"));
    let watches = 0;
    const watch: Store["watch"] = (prefix, options) =>
      ++watches === 1 ? broken() : store.watch(prefix, options);
    const next = acquire("b", { store: { ...methods(store), watch } });
    await time.advance(TTL);
    await lease.release();
    await held(next);
    expect(watches).toBe(2);
  });

  test("asks a store that fails again, later and later", async () => {
    const made = desk();
    made.always = "refused";
    const attempt = made.acquire("a");
    await made.time.advance(60_000);
    expect(attempt.state).toBe("waiting");
    expect(made.asked.length).toBeLessThan(300);
    made.always = undefined;
    await made.time.advance(TTL / 3);
    await held(attempt);
    const once = made.acquire("b", { timeout: 0, store: { ...methods(made.store), get: () => refusal() } });
    await made.time.advance(TTL);
    expect(once.state).toBe("UNAVAILABLE");
  });

  test("says when the store fails, once, and not that somebody was faster", async () => {
    const made = desk();
    made.always = "refused";
    const attempt = made.acquire("a");
    await made.time.advance(10_000);
    expect(made.time.entries.map(({ event, level }) => [event, level])).toEqual([[
      "lease.unreachable",
      "warn",
    ]]);
    made.always = undefined;
    await made.time.advance(TTL);
    const lease = await held(attempt);
    await lease.release();
    const others = ["b", "c", "d"].map((owner) => made.acquire(owner));
    await made.time.advance(TTL);
    expect(others.filter(({ state }) => state === "held")).toHaveLength(1);
    expect(made.time.entries).toHaveLength(1);
  });

  test("leaves no timer behind where a store throws instead of rejecting", async () => {
    const { acquire, store, time } = desk();
    const put = (): never => {
      throw new CatgaError(systemFault("VALIDATION", "thrown"));
    };
    const attempt = acquire("a", { store: { ...methods(store), put } });
    await settle();
    expect([attempt.state, time.pending()]).toEqual(["VALIDATION", 0]);
  });

  test("fails at once with what the store refuses for good, and with numbers that cannot be", async () => {
    const { store, runtime } = desk();
    const options = { store, runtime, owner: "a", ttl: TTL };
    const codeOf = (key: string, more: Partial<LeaseOptions>): Promise<string> =>
      acquireLease(key, { ...options, ...more }).then(() => "held", (error) => error.code ?? error.name);
    expect(await codeOf("k".repeat(1000), {})).toBe("VALIDATION");
    for (const ttl of [0, 99, NaN, Infinity]) expect(await codeOf(KEY, { ttl })).toBe("RangeError");
    for (const timeout of [-1, NaN]) expect(await codeOf(KEY, { timeout })).toBe("RangeError");
  });
});

describe("what it asks of the store", () => {
  test("is one write where the lease is free, and a look only where it is not", async () => {
    const { acquire, store, asked } = desk();
    const lease = await held(acquire("a"));
    await lease.release();
    expect(asked.splice(0)).toEqual(["put", "delete"]);
    await held(acquire("b"));
    acquire("a", { timeout: 0 });
    await settle();
    expect(asked.splice(0)).toEqual(["put", "get"]);
    acquire("a");
    await settle();
    await store.delete(KEY);
    await settle();
    // It was told that it is free, so it does not look before it takes it.
    expect(asked).toEqual(["put", "get", "put"]);
  });

  test("is nothing for as long as it is told of renewals", async () => {
    const { acquire, time, asked } = desk();
    await held(acquire("b"));
    acquire("a");
    await time.advance(100 * TTL);
    expect(asked).toEqual(["put", "get"]);
  });

  test("is a look now and then when it is told nothing any more", async () => {
    const { acquire, time, store, runtime } = desk();
    await held(acquire("b"));
    let gets = 0;
    const deaf: Store = {
      ...methods(store),
      get: (key, options) => (gets++, store.get(key, options)),
      async *watch(prefix, options) {
        for await (const change of store.watch(prefix, options)) {
          yield change;
          if (change.type === "ready") await new Promise<never>(() => {});
        }
      },
    };
    const over = new AbortController();
    void acquireLease(KEY, { store: deaf, runtime, owner: "c", ttl: TTL, signal: over.signal }).catch(
      () => {},
    );
    await time.advance(100 * TTL);
    expect(gets).toBeGreaterThan(100);
    expect(gets).toBeLessThan(140);
    over.abort();
  });

  test("is a look soon when the watch breaks off that told who has it", async () => {
    const { acquire, time, store } = desk();
    const lease = await held(acquire("b"));
    let breakOff = (): void => {};
    let watches = 0;
    const next = acquire("c", {
      store: {
        ...methods(store),
        async *watch(prefix, options) {
          if (++watches > 1) await refusal();
          for await (const change of store.watch(prefix, options)) {
            yield change;
            if (change.type !== "ready") continue;
            await new Promise<void>((resolve) => breakOff = resolve);
            await refusal();
          }
        },
      },
    });
    await time.advance(TTL / 4);
    await lease.release();
    breakOff();
    await time.advance(TTL / 2);
    await held(next);
  });

  test("is one write of each when one of many gets it", async () => {
    const { acquire, time, store } = desk();
    const counts = { get: 0, put: 0 };
    const counted: Store = {
      ...methods(store),
      get: (key, options) => (counts.get++, store.get(key, options)),
      put: (key, value, options) => (counts.put++, store.put(key, value, options)),
    };
    const lease = await held(acquire("b"));
    const others = Array.from({ length: 20 }, (_, at) => acquire(`c${at}`, { store: counted }));
    await time.advance(10 * TTL);
    expect(counts).toEqual({ get: 20, put: 20 });
    await lease.release();
    await settle();
    expect(others.filter(({ state }) => state === "held")).toHaveLength(1);
    expect(counts).toEqual({ get: 20, put: 40 });
  });

  test("finds what it wrote long ago and was lost on its way until now", async () => {
    const { acquire, time, store, runtime, holder } = desk();
    const lease = await held(acquire("b"));
    let late: (() => Promise<number>) | undefined;
    const slow: Store = {
      ...methods(store),
      put: (key, value, options) => {
        if (late !== undefined) return store.put(key, value, options);
        late = () => store.put(key, value, { expected: "absent", ttl: TTL });
        return Promise.reject(new CatgaError(systemFault("TRANSPORT", "lost")));
      },
    };
    let got: Lease | undefined;
    void acquireLease(KEY, { store: slow, runtime, owner: "c", ttl: TTL }).then((lease) => got = lease);
    await time.advance(500);
    void lease.release();
    const token = await late!();
    await time.advance(50);
    expect(got?.token).toBe(token);
    expect(await holder()).toEqual({ owner: "c", token });
  });
});

describe("over a store whose watches look at a price", () => {
  /** Its watches tell what there is when they are told to look. */
  function looking(store: Store) {
    const looks = new Set<() => void>();
    const asked: string[] = [];
    const made: Store = {
      ...methods(store),
      looks: { soon: 500, late: 10_000 },
      get: (key, options) => (asked.push("get"), store.get(key, options)),
      put: (key, value, options) => (asked.push("put"), store.put(key, value, options)),
      async *watch(prefix, { signal } = {}): AsyncGenerator<Change, void, undefined> {
        asked.push("watch");
        let known: Entry | undefined;
        for (let isFirst = true; signal?.aborted !== true; isFirst = false) {
          const entry = await store.get(prefix);
          if (entry !== undefined && entry.revision !== known?.revision) yield { type: "put", entry };
          if (entry === undefined && known !== undefined) yield { type: "delete", ...known };
          if (isFirst) yield { type: "ready" };
          known = entry;
          await new Promise<void>((resolve) => {
            looks.add(resolve);
            signal?.addEventListener("abort", () => resolve(), { once: true });
          });
        }
      },
    };
    const look = async (): Promise<void> => {
      for (const each of looks) each();
      looks.clear();
      await settle();
    };
    return { made, asked, look };
  }

  test("it waits for the watch, which tells who has it, and looks for itself next to never", async () => {
    const { acquire, time, store } = desk();
    const { made, asked, look } = looking(store);
    const lease = await held(acquire("b"));
    const next = acquire("c", { store: made, timeout: 60 * TTL });
    const late = acquire("d", { store: made, timeout: TTL });
    await time.advance(10 * TTL);
    expect([next.state, late.state, late.data]).toEqual(["waiting", "TIMEOUT", {
      holder: { owner: "b", token: lease.token },
    }]);
    expect(asked).toEqual(["put", "put", "watch", "watch"]);
    await lease.release();
    await look();
    await held(next);
    expect(asked).toEqual(["put", "put", "watch", "watch", "put"]);
    await time.advance(30 * TTL);
    expect(asked.filter((what) => what === "get")).toEqual([]);
  });

  test("what somebody faster took and gave back between two looks is not missed", async () => {
    for (const isSoon of [true, false]) {
      const { acquire, store } = desk();
      const { made, asked, look } = looking(store);
      const lease = await held(acquire("b"));
      let tries = 0;
      const put: Store["put"] = async (key, value, options) => {
        if (++tries === 2) await store.put(KEY, "");
        return await made.put(key, value, options).finally(() => isSoon && store.delete(KEY));
      };
      const next = acquire("c", { store: { ...made, put } as Store });
      await settle();
      await lease.release();
      await look();
      if (!isSoon) {
        expect(next.state).toBe("waiting");
        await store.delete(KEY);
        await look();
      }
      await held(next);
      expect(asked).toEqual(["put", "watch", "put", "watch", "put"]);
    }
  });

  test("it looks for itself when the watch is broken or tells nothing for very long", async () => {
    for (const watch of [broken, silent]) {
      const { acquire, time, store } = desk();
      const { made } = looking(store);
      const lease = await held(acquire("b"));
      const next = acquire("c", { store: { ...made, watch } as Store });
      await time.advance(TTL);
      await lease.release();
      await time.advance(TTL / 2);
      await held(next);
    }
    const { acquire, time, store } = desk();
    const { made } = looking(store);
    const lease = await held(acquire("b"));
    const next = acquire("c", { store: made });
    await settle();
    await lease.release();
    await time.advance(37_000);
    expect(next.state).toBe("waiting");
    await time.advance(13_000);
    await held(next);
  });
});

describe("an answer that was lost", () => {
  test("after the lease was acquired is settled by reading back; the token is that of the acquisition", async () => {
    const { acquire, fates, time, store, holder, asked } = desk();
    fates.put.push("after");
    const attempt = acquire("a");
    await settle();
    const { revision } = (await store.get(KEY))!;
    await time.advance(100);
    const lease = await held(attempt);
    expect(lease.token).toBe(revision);
    expect(asked).toEqual(["put", "get", "put"]);
    expect(await holder()).toEqual({ owner: "a", token: revision });
  });

  test("before it was acquired means another try", async () => {
    const { acquire, fates, time } = desk();
    fates.put.push("before", "refused");
    const attempt = acquire("a");
    await time.advance(100);
    await held(attempt);
  });

  test("is not taken for a lease when another was faster", async () => {
    const { acquire, fates, time } = desk();
    fates.put.push("before");
    const attempt = acquire("a");
    await settle();
    await held(acquire("b"));
    await time.advance(10 * TTL);
    expect(attempt.state).toBe("waiting");
  });

  test("of a renewal changes nothing, whether it was written or not", async () => {
    for (const fate of ["before", "after", "refused", "hang"] as const) {
      const { acquire, fates, time, holder } = desk();
      const lease = await held(acquire("a"));
      fates.put.push(fate);
      await time.advance(10 * TTL);
      expect(lease.held()).toBe(true);
      expect(await holder()).toEqual({ owner: "a", token: lease.token });
    }
  });

  test("of the release means that it is looked after", async () => {
    for (const fate of ["before", "after", "refused"] as const) {
      const { acquire, fates, time, holder } = desk();
      const lease = await held(acquire("a"));
      fates.delete.push(fate);
      let released = false;
      void lease.release().then(() => released = true);
      await time.advance(100);
      expect([released, await holder()]).toEqual([true, undefined]);
    }
  });

  test("to a holder that came late says nothing about now", async () => {
    const { acquire, fates, time } = desk();
    fates.put.push("after");
    fates.get.push(TTL);
    const attempt = acquire("a", { ttl: 300 });
    await time.advance(99);
    expect(attempt.state).toBe("waiting");
    await time.advance(1000);
    await held(attempt);
  });
});

describe("a holder", () => {
  test("counts from before it asked, and stops before the store may give the lease on", async () => {
    const made = desk();
    made.fates.put.push(900);
    const attempt = made.acquire("a");
    await made.time.advance(900);
    const lease = await held(attempt);
    made.always = "before";
    await made.time.advance(TTL * 0.98 - 900 - 1);
    expect([lease.held(), lease.signal.aborted]).toEqual([true, false]);
    let aborted = false;
    lease.signal.addEventListener("abort", () => aborted = true);
    await made.time.advance(1);
    expect([aborted, lease.held(), lease.signal.reason.code]).toEqual([true, false, "TIMEOUT"]);
    expect(await made.store.get(KEY)).toBeDefined();
  });

  test("knows by its clock, when its timers did not run, and takes no step", async () => {
    const { time, runtime, store } = desk();
    let slept = 0;
    const clock = { ...time.clock, mono: () => time.clock.mono() + slept };
    const lease = await acquireLease(KEY, { store, runtime: { ...runtime, clock }, owner: "a", ttl: TTL });
    slept = TTL * 0.99 - 1;
    expect(lease.held()).toBe(true);
    slept = TTL * 0.99;
    expect(() => lease.assertHeld()).toThrow("could not be renewed");
    expect(lease.signal.aborted).toBe(true);
  });

  test("whose time is over finds its signal aborted, though no timer ran", async () => {
    const { time, runtime, store } = desk();
    let slept = 0;
    const clock = { ...time.clock, mono: () => time.clock.mono() + slept };
    const lease = await acquireLease(KEY, { store, runtime: { ...runtime, clock }, owner: "a", ttl: TTL });
    slept = TTL * 0.99;
    expect([lease.signal.aborted, lease.signal.reason.code]).toEqual([true, "TIMEOUT"]);
  });

  test("is told at once when a renewal fails after its time, though no timer ran", async () => {
    const { time, runtime, store: kept } = desk();
    let slept = 0;
    const clock = { ...time.clock, mono: () => time.clock.mono() + slept };
    const store: Store = {
      ...methods(kept),
      put: (key, value, options) => {
        if (options?.expected === "absent") return kept.put(key, value, options);
        slept = TTL;
        return refusal();
      },
    };
    const lease = await acquireLease(KEY, { store, runtime: { ...runtime, clock }, owner: "a", ttl: TTL });
    const { signal } = lease;
    await time.advance(TTL / 3);
    expect([signal.aborted, signal.reason?.code]).toEqual([true, "TIMEOUT"]);
  });

  test("that stood still past its end is told when its timer runs, and asks for nothing", async () => {
    const made = desk();
    let slept = 0;
    const clock = { ...made.time.clock, mono: () => made.time.clock.mono() + slept };
    const store: Store = {
      ...methods(made.store),
      put: (...args) => (made.asked.push("put"), made.store.put(...args)),
    };
    const options = { store, runtime: { ...made.runtime, clock }, owner: "a", ttl: TTL };
    const lease = await acquireLease(KEY, options);
    const { signal } = lease;
    // Not over yet, but so near to it that whoever holds it has to stop.
    slept = TTL * 0.98 - TTL / 3;
    await made.time.advance(TTL / 3);
    expect([signal.aborted, signal.reason.code, made.asked]).toEqual([true, "TIMEOUT", ["put"]]);
  });

  test("can ask for its signal when it is over: it has aborted, and says why, always the same", async () => {
    const made = desk();
    const released = await held(made.acquire("a"));
    await released.release();
    const expired = await held(made.acquire("a"));
    made.always = "before";
    await made.time.advance(TTL);
    made.always = undefined;
    await made.time.advance(TTL);
    const lost = await held(made.acquire("a"));
    await made.store.delete(KEY);
    await made.time.advance(TTL / 3 + 10);
    const leases = [released, expired, lost];
    expect(leases.map((lease) => lease.held())).toEqual([false, false, false]);
    expect(leases.map(({ signal }) => signal.aborted && signal.reason.code)).toEqual([
      "CANCELLED",
      "TIMEOUT",
      "CONFLICT",
    ]);
    for (const lease of leases) {
      expect(CatgaError.is(lease.signal.reason)).toBe(true);
      expect(() => lease.assertHeld()).toThrow(lease.signal.reason);
      expect(lease.signal).toBe(lease.signal);
      await lease.release();
    }
  });

  test("that listens is told of the end before the release is done", async () => {
    const lease = await held(desk().acquire("a"));
    const told: string[] = [];
    lease.signal.addEventListener("abort", () => told.push(`${lease.signal.reason.code} ${lease.held()}`));
    const releasing = lease.release();
    expect(told).toEqual(["CANCELLED false"]);
    await releasing;
    expect(told.length).toBe(1);
  });

  test("does not look at the wall clock", async () => {
    const { time, runtime, store } = desk();
    let jump = 0;
    const clock = { ...time.clock, wall: () => jump };
    const lease = await acquireLease(KEY, { store, runtime: { ...runtime, clock }, owner: "a", ttl: TTL });
    for (jump of [3_600_000, -3_600_000, 0]) {
      await time.advance(TTL);
      expect(lease.held()).toBe(true);
    }
  });

  test("that lost its time lets others go on, and nothing of it comes back", async () => {
    const made = desk();
    const lease = await held(made.acquire("a"));
    made.always = "after";
    await made.time.advance(TTL / 3);
    made.always = "hang";
    await made.time.advance(TTL);
    expect(lease.held()).toBe(false);
    made.always = undefined;
    await made.time.advance(10 * TTL);
    expect(lease.held()).toBe(false);
    expect(await made.store.get(KEY)).toBe(undefined);
    expect(made.time.pending()).toBe(0);
  });

  test("hears from the store that another has it", async () => {
    const { acquire, store, time, holder } = desk();
    const lease = await held(acquire("a"));
    await store.delete(KEY);
    const next = await held(acquire("b"));
    await time.advance(TTL / 3 + 10);
    expect(lease.signal.reason.code).toBe("CONFLICT");
    expect(lease.signal.reason.message).toContain('"b"');
    await lease.release();
    expect(await holder()).toEqual({ owner: "b", token: next.token });
  });

  test("hears from the store that it is gone, and does not take it back", async () => {
    const { acquire, store, time } = desk();
    const lease = await held(acquire("a"));
    await store.delete(KEY);
    await time.advance(TTL / 3 + 10);
    expect([lease.held(), lease.signal.reason.code]).toEqual([false, "CONFLICT"]);
    expect(await store.get(KEY)).toBe(undefined);
  });

  test("releases only what is its own", async () => {
    const { acquire, store, time, holder } = desk();
    const lease = await held(acquire("a"));
    await store.delete(KEY);
    const next = await held(acquire("b"));
    await lease.release();
    await time.advance(TTL);
    expect(await holder()).toEqual({ owner: "b", token: next.token });
    expect(next.held()).toBe(true);
  });

  test("lets a renewal under way go when it releases", async () => {
    const { acquire, fates, time, holder } = desk();
    const lease = await held(acquire("a"));
    fates.put.push(500);
    await time.advance(TTL / 3 + 100);
    await lease.release();
    expect(await holder()).toBe(undefined);
    await time.advance(TTL);
    expect([await holder(), time.pending()]).toEqual([undefined, 0]);
  });

  test("is done with releasing when the time is over, if the store cannot be reached", async () => {
    const made = desk();
    const lease = await held(made.acquire("a"));
    made.always = "hang";
    let released = false;
    void lease.release().then(() => released = true);
    await made.time.advance(3 * TTL);
    expect([released, await made.store.get(KEY), made.time.pending()]).toEqual([true, undefined, 0]);
  });

  test("says when renewing fails, once", async () => {
    const made = desk();
    await held(made.acquire("a"));
    made.always = "refused";
    await made.time.advance(TTL);
    expect(made.time.entries.map(({ event, level }) => [event, level])).toEqual([[
      "lease.renewal_failed",
      "warn",
    ]]);
  });
});

test("what is no lease has no holder", () => {
  const entry = (value: string) => ({ key: KEY, value, revision: 7 });
  for (const value of ["", "null", "7", "{}", '{"owner":"a"}', '{"owner":1,"id":"x"}', "{"]) {
    expect(leaseHolder(entry(value))).toBe(undefined);
  }
  expect(leaseHolder(undefined)).toBe(undefined);
  expect(leaseHolder(entry('{"owner":"a","id":"x"}'))).toEqual({ owner: "a", token: 7 });
  expect(leaseHolder(entry('{"owner":"a","id":"x","token":5}'))).toEqual({ owner: "a", token: 5 });
});

function methods(store: Store): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
  };
}

function refusal(): Promise<never> {
  return Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "refused")));
}

// deno-lint-ignore require-yield
async function* broken(): AsyncGenerator<never> {
  await refusal();
}

// deno-lint-ignore require-yield
async function* silent(): AsyncGenerator<never> {
  await new Promise<never>(() => {});
}
