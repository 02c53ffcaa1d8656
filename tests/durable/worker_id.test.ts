/** The number of a worker, for one at a time; and whoever has it next begins behind all that was made. */

import { describe, expect, test } from "bun:test";
import { CatgaError, systemFault } from "@catga/catga";
import { leaseWorker, type WorkerLease, type WorkerOptions } from "@catga/catga/durable";
import { type Snowflake, snowflake } from "@catga/catga/ids";
import { memoryStore } from "@catga/catga/memory";
import type { Runtime, Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

const TTL = 3000;
/** How far ids are reserved ahead. */
const WINDOW = 2000;
const START = 1_800_000_000_000;

type Fate = "before" | "after" | "refused" | "hang";

interface Desk {
  readonly time: FakeRuntime;
  readonly runtime: Runtime;
  readonly store: Store;
  /** How much the wall clock is ahead of where it would be. */
  skew: number;
  /** For how long the process stood still: time passes, and no timer runs. */
  stood: number;
  /** What the requests of a node meet, as long as this is set. */
  readonly fates: Map<string, Fate>;
  readonly asked: string[];
  /** The part of the store's interface that a node has. */
  at(node: string): Store;
  lease(owner: string, options?: Partial<WorkerOptions>): Promise<WorkerLease>;
  /** The same, once all has happened that waits for no timer. */
  outcome(work: Promise<unknown>): Promise<unknown>;
  mark(worker: number, name?: string): Promise<{ until: number; token: number } | undefined>;
}

function desk(): Desk {
  const time = fakeRuntime();
  let last = 1;
  const mono = (): number => time.clock.mono() + made.stood;
  const clock = { ...time.clock, mono, wall: () => START - 1000 + mono() + made.skew };
  const runtime: Runtime = {
    ...time,
    clock,
    random: { u32: () => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0 },
    background: (work) => void work.catch(() => {}),
  };
  const store = memoryStore({ clock });
  const fates = new Map<string, Fate>();
  const asked: string[] = [];
  const at = (node: string): Store => {
    const meet = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      asked.push(what);
      const fate = fates.get(node);
      if (fate === "refused") throw new CatgaError(systemFault("UNAVAILABLE", "refused"));
      if (fate === "before") throw new CatgaError(systemFault("TRANSPORT", "lost"));
      if (fate === "hang") return new Promise<never>(() => {});
      const value = await work();
      if (fate === "after") throw new CatgaError(systemFault("TRANSPORT", "not answered"));
      return value;
    };
    return {
      get: (key, options) => meet("get", () => store.get(key, options)),
      put: (key, value, options) => meet("put", () => store.put(key, value, options)),
      delete: (key, options) => meet("delete", () => store.delete(key, options)),
      list: (prefix, options) => meet("list", () => store.list(prefix, options)),
      watch: (prefix, options) => store.watch(prefix, options),
    };
  };
  const made: Desk = {
    time,
    runtime,
    store,
    skew: 0,
    stood: 0,
    fates,
    asked,
    at,
    lease: (owner, options = {}) =>
      leaseWorker({ store: at(owner), runtime, owner, workers: 4, ttl: TTL, timeout: 0, ...options }),
    outcome: async (work) => {
      let outcome: unknown = "pending";
      void work.then(
        (value) => outcome = value ?? "done",
        (error: CatgaError) => outcome = error.code ?? error,
      );
      await settle();
      return outcome;
    },
    mark: async (worker, name = "ids") => {
      const entry = await store.get(`workers/${name}/mark/${worker}`);
      return entry && JSON.parse(entry.value);
    },
  };
  return made;
}

function idsOf({ runtime }: Desk, worker: WorkerLease): Snowflake {
  return snowflake({ clock: runtime.clock, worker });
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (thrown) {
    return CatgaError.is(thrown) ? thrown.code : String(thrown);
  }
}

describe("a leased worker", () => {
  test("regression 2ffddfd6, C11: no two have one number, and who comes when all are taken is refused", async () => {
    const all = desk();
    const held = [];
    for (let n = 0; n < 4; n++) held.push(await all.lease(`node-${n}`));
    expect(held.map(({ worker }) => worker).sort()).toEqual([0, 1, 2, 3]);
    await expect(all.lease("late")).rejects.toMatchObject({ code: "OVERLOADED", retryable: true });
    await held[2]!.release();
    expect((await all.lease("late")).worker).toBe(held[2]!.worker);
  });

  test("many at once get different ones", async () => {
    const all = desk();
    const wanted = Array.from({ length: 40 }, (_, n) => all.lease(`node-${n}`, { workers: 64 }));
    const held = await Promise.all(wanted);
    expect(new Set(held.map(({ worker }) => worker)).size).toBe(40);
    await Promise.all(held.map((each) => each.release()));
    await settle();
    expect(all.time.pending()).toBe(0);
  });

  test("names have numbers of their own", async () => {
    const all = desk();
    const [one, other] = [
      await all.lease("a", { workers: 1 }),
      await all.lease("a", { workers: 1, name: "other" }),
    ];
    expect([one.worker, other.worker]).toEqual([0, 0]);
    expect([(await all.mark(0))?.token, (await all.mark(0, "other"))?.token]).toEqual([
      one.token,
      other.token,
    ]);
  });

  test("is kept for as long as its process lives, and what it may make with it", async () => {
    const all = desk();
    const worker = await all.lease("a");
    const ids = idsOf(all, worker);
    let last = ids.next();
    for (let n = 0; n < 100; n++) {
      await all.time.advance(TTL / 4);
      const id = ids.next();
      expect([id > last, ids.parse(id).time]).toEqual([true, all.runtime.clock.wall()]);
      last = id;
    }
    expect(worker.signal.aborted).toBe(false);
    await worker.release();
  });

  test("reserves before it makes: the mark is later than each id", async () => {
    const all = desk();
    const worker = await all.lease("a", { workers: 1 });
    const ids = idsOf(all, worker);
    for (let n = 0; n < 20; n++) {
      ids.fill(new BigInt64Array(300 * 4096));
      await all.time.advance(700);
      expect((await all.mark(0))!.until).toBeGreaterThanOrEqual(ids.until);
    }
  });

  test("that is released makes no more, and gives back what it did not use", async () => {
    const all = desk();
    const worker = await all.lease("a", { workers: 1 });
    const ids = idsOf(all, worker);
    const batch = ids.fill(new BigInt64Array(1500 * 4096));
    await worker.release();
    expect([worker.signal.reason.code, codeOf(() => ids.fill(new BigInt64Array(4096)))]).toEqual([
      "CANCELLED",
      "CANCELLED",
    ]);
    const next = await all.lease("b", { workers: 1 });
    expect([next.from, next.token > worker.token]).toEqual([ids.until, true]);
    expect(idsOf(all, next).next() > batch.at(-1)!).toBe(true);
    await worker.release();
    expect((await all.mark(0))!.token).toBe(next.token);
  });

  test("that cannot be renewed makes no more before another can have it", async () => {
    const all = desk();
    const worker = await all.lease("a", { workers: 1 });
    const ids = idsOf(all, worker);
    ids.next();
    all.fates.set("a", "before");
    const codes = [];
    for (let n = 0; n < 30; n++) {
      await all.time.advance(100);
      codes.push(codeOf(() => ids.next()));
      if (codes.at(-1) !== undefined) break;
    }
    expect(codes.at(-1)).toBe("TIMEOUT");
    expect([worker.signal.aborted, all.time.clock.mono() - 1000 <= TTL * 0.99 + 100]).toEqual([true, true]);
    await all.time.advance(TTL);
    const next = await all.lease("b", { workers: 1 });
    expect(next.from).toBeLessThanOrEqual(all.runtime.clock.wall());
    expect(idsOf(all, next).next() > BigInt(ids.until - 1) - 1n).toBe(true);
    expect(all.time.entries.some(({ event }) => event === "worker.reserve_failed")).toBe(true);
  });

  test("of a process that stood still makes no id that its successor makes, even in the moment before it knows", async () => {
    const all = desk();
    const worker = await all.lease("a", { workers: 1 });
    const ids = idsOf(all, worker);
    ids.next();
    // Its lease is gone from the store, and somebody else has the number: it has heard of nothing.
    await all.store.delete("workers/ids/lease/0");
    const next = await all.lease("b", { workers: 1 });
    const theirs = snowflake({ clock: all.runtime.clock, worker: next, ahead: 10_000 });
    const first = theirs.next();
    all.skew += 3_600_000;
    const made = new Set([first]);
    let late = 0;
    for (let n = 0; n < 5000; n++) {
      if (codeOf(() => made.add(ids.next())) === undefined) late++;
    }
    expect([late, made.size, [...made].every((id) => id <= first)]).toEqual([4096, 4097, true]);
    await all.time.advance(TTL);
    expect([worker.signal.reason.code, codeOf(() => ids.next())]).toEqual(["CONFLICT", "CONFLICT"]);
    expect((await all.mark(0))!.token).toBe(next.token);
  });

  test("makes none once its time is over, though no timer has run yet", async () => {
    const all = desk();
    const ids = idsOf(all, await all.lease("a"));
    ids.next();
    all.stood += TTL - 40;
    expect(codeOf(() => ids.next())).toBe(undefined);
    all.stood += 40;
    expect([codeOf(() => ids.next()), codeOf(() => ids.next())]).toEqual(["TIMEOUT", "TIMEOUT"]);
  });

  test("makes none that is not reserved for sure, while the store does not answer", async () => {
    const all = desk();
    const ids = idsOf(all, await all.lease("a", { workers: 1 }));
    all.fates.set("a", "hang");
    for (let n = 0; n < 26; n++) {
      await all.time.advance(100);
      expect(codeOf(() => ids.next())).toBe(undefined);
      expect((await all.mark(0))!.until).toBeGreaterThanOrEqual(ids.until);
    }
  });

  test("begins behind what the one before reserved at the last moment", async () => {
    const all = desk();
    const worker = await all.lease("a", { workers: 1 });
    await all.store.delete("workers/ids/lease/0");
    const late = JSON.stringify({ until: START + 5000, token: worker.token });
    let times = 0;
    const store: Store = {
      ...all.at("b"),
      put: async (key, value, options) => {
        if (key.includes("/mark/") && ++times === 1) await all.store.put(key, late);
        return await all.store.put(key, value, options);
      },
    };
    const leased = all.lease("b", { store, workers: 1 });
    await all.time.advance(TTL);
    expect([(await leased).from, times]).toEqual([START + 5000, 2]);
  });

  test("is not taken from who leased it later", async () => {
    const all = desk();
    const mark = { until: START, token: 1_000_000 };
    await all.store.put("workers/ids/mark/0", JSON.stringify(mark));
    const outcome = all.lease("a", { workers: 1 }).catch((error: CatgaError) => error.code);
    await all.time.advance(2 * TTL);
    expect([await outcome, await all.mark(0)]).toEqual(["CONFLICT", mark]);
    expect(await all.store.list("workers/ids/lease/")).toEqual([]);
  });

  test("is one whose ids lie behind, else the one that is least ahead", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const all = desk();
      for (let n = 0; n < seed; n++) all.runtime.random.u32();
      const untils = [START + 10, START - 1, START + 5, START + 20];
      for (const [n, until] of untils.entries()) {
        await all.store.put(`workers/ids/mark/${n}`, JSON.stringify({ until, token: 1 }));
      }
      const taken = [];
      for (let n = 0; n < 4; n++) taken.push((await all.lease("a")).worker);
      expect(taken).toEqual([1, 2, 0, 3]);
    }
  });

  test("is lost when its mark was taken over, though its lease seems to hold", async () => {
    const all = desk();
    const worker = await all.lease("a", { workers: 1 });
    const ids = idsOf(all, worker);
    ids.next();
    await all.store.put(
      "workers/ids/mark/0",
      JSON.stringify({ until: START + 9e6, token: worker.token + 5 }),
    );
    await all.time.advance(TTL / 2);
    expect([worker.signal.reason.code, codeOf(() => ids.next())]).toEqual(["CONFLICT", "CONFLICT"]);
    expect((await all.mark(0))!.until).toBe(START + 9e6);
    await settle();
    expect(await all.store.get("workers/ids/lease/0")).toBe(undefined);
  });

  test.each(["before", "after", "hang", "refused"] as const)(
    "survives a store that for a while fails, %s it was done",
    async (fate) => {
      const all = desk();
      const worker = await all.lease("a", { workers: 1 });
      const ids = idsOf(all, worker);
      let last = ids.next();
      for (let round = 0; round < 10; round++) {
        all.fates.set("a", fate);
        await all.time.advance(TTL / 4);
        all.fates.delete("a");
        await all.time.advance(TTL / 3);
        const id = ids.next();
        expect([id > last, (await all.mark(0))!.until >= ids.until]).toEqual([true, true]);
        last = id;
      }
      expect(worker.signal.aborted).toBe(false);
      await worker.release();
      await all.time.advance(TTL);
      expect(all.time.pending()).toBe(0);
    },
  );
});

describe("a clock that jumps", () => {
  test("on: ids stay within what is reserved for a moment, then follow", async () => {
    const all = desk();
    const worker = await all.lease("a");
    const ids = idsOf(all, worker);
    const before = ids.next();
    all.skew += 3_600_000;
    const during = ids.next();
    expect([during > before, ids.parse(during).time]).toEqual([true, START + WINDOW - 1]);
    await settle();
    expect(ids.parse(ids.next()).time).toBe(START + 3_600_000);
    expect(worker.signal.aborted).toBe(false);
  });

  test("back: a new lease takes a worker whose ids lie behind, so that nothing waits (F13)", async () => {
    const all = desk();
    const worker = await all.lease("a", { workers: 2 });
    const ids = idsOf(all, worker);
    ids.next();
    all.skew -= 3_600_000;
    expect(codeOf(() => ids.next())).toBe("UNAVAILABLE");
    await worker.release();
    const next = await all.lease("a", { workers: 2 });
    expect(next.worker).not.toBe(worker.worker);
    const id = idsOf(all, next).next();
    expect(idsOf(all, next).parse(id).time).toBe(START - 3_600_000);
    // There is none left whose ids lie behind: the one that is there cannot begin yet.
    const third = await all.lease("b", { workers: 2 });
    expect([third.from > START - 1, codeOf(() => idsOf(all, third).next())]).toEqual([true, "UNAVAILABLE"]);
  });

  test("no more is written than is needed, whatever the generator's clock shows", async () => {
    const all = desk();
    const worker = await all.lease("a");
    const ahead = { wall: () => all.runtime.clock.wall() + 86_400_000 };
    const ids = snowflake({ clock: ahead, worker });
    all.asked.length = 0;
    for (let n = 0; n < 100; n++) {
      codeOf(() => ids.next());
      await settle();
    }
    expect(all.asked.length).toBeLessThan(5);
    expect(ids.parse(ids.next()).time).toBe(ahead.wall());
  });
});

describe("a crash", () => {
  /** What one life does: leases, makes ids over some seconds, lets go. */
  async function live(all: Desk, store: Store, worker: { ids: bigint[] }): Promise<void> {
    const lease = await leaseWorker({ store, runtime: all.runtime, owner: "a", workers: 1, ttl: TTL });
    const ids = idsOf(all, lease);
    for (let n = 0; n < 6; n++) {
      worker.ids.push(...ids.fill(new BigInt64Array(3)), ids.next());
      await new Promise<void>((resolve) => void all.runtime.clock.timer(TTL / 6, resolve));
    }
    await lease.release();
  }

  async function crashed(at: number, when: "before" | "after"): Promise<number> {
    const all = desk();
    const point = new CrashPoint({ at, when, crash: () => {} });
    const first = { ids: [] as bigint[] };
    void live(all, point.wrap(all.store), first).catch(() => {});
    for (let n = 0; n < 20 && !point.crashed; n++) await all.time.advance(TTL / 12);
    // It never gets an answer again, and goes on until it knows that its lease is over.
    const second = { ids: [] as bigint[] };
    const next = live(all, all.store, second);
    await all.time.advance(5 * TTL);
    await next;
    expect([at, when, second.ids.length]).toEqual([at, when, 24]);
    expect([at, when, new Set([...first.ids, ...second.ids]).size]).toEqual([
      at,
      when,
      first.ids.length + second.ids.length,
    ]);
    return point.passed;
  }

  test("at each thing asked of the store, before and after: the next holder repeats nothing", async () => {
    const steps = await crashed(Infinity, "before");
    expect(steps).toBeGreaterThan(10);
    for (let at = 1; at <= steps; at++) {
      await crashed(at, "before");
      await crashed(at, "after");
    }
  });
});

describe("waiting", () => {
  test("goes on until one is free", async () => {
    const all = desk();
    const held = await all.lease("a", { workers: 1 });
    const wanted = all.lease("b", { workers: 1, timeout: undefined });
    expect(await all.outcome(wanted)).toBe("pending");
    await all.time.advance(10 * TTL);
    expect(await all.outcome(wanted)).toBe("pending");
    await held.release();
    await all.time.advance(TTL);
    expect(await all.outcome(wanted)).toMatchObject({ worker: 0, owner: "b" });
    await (await wanted).release();
    await settle();
    expect(all.time.pending()).toBe(0);
  });

  test("ends with OVERLOADED when all were taken, with TIMEOUT when the store was not there", async () => {
    const all = desk();
    await all.lease("a", { workers: 1 });
    const crowded = all.lease("b", { workers: 1, timeout: 5000 });
    all.fates.set("c", "hang");
    const silent = all.lease("c", { workers: 1, timeout: 5000 });
    const [one, other] = [all.outcome(crowded), all.outcome(silent)];
    expect([await one, await other]).toEqual(["pending", "pending"]);
    const codes = [crowded, silent].map((each) => each.catch((error: CatgaError) => error.code));
    await all.time.advance(5000);
    expect(await Promise.all(codes)).toEqual(["OVERLOADED", "TIMEOUT"]);
  });

  test("is given up when the signal aborts, and leaves nothing behind", async () => {
    for (let turns = 0; turns < 30; turns++) {
      const all = desk();
      const cancel = new AbortController();
      const wanted = all.lease("a", { signal: cancel.signal, timeout: undefined });
      const outcome = wanted.then((worker) => worker.release(), (error: CatgaError) => error.code);
      for (let n = 0; n < turns; n++) await Promise.resolve();
      cancel.abort();
      await all.time.advance(10 * TTL);
      expect([turns, ["CANCELLED", undefined]]).toEqual([turns, expect.arrayContaining([await outcome])]);
      const left = await all.store.list("workers/ids/lease/");
      expect([turns, all.time.pending(), left]).toEqual([turns, 0, []]);
    }
  });

  test("is not begun when the signal has aborted", async () => {
    const all = desk();
    await expect(all.lease("a", { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "CANCELLED",
    });
    expect(all.asked).toEqual([]);
  });

  test("that was not wanted ends after four tries of a store that is not there", async () => {
    const all = desk();
    all.fates.set("a", "refused");
    const outcome = all.lease("a").catch((error: CatgaError) => error.code);
    await all.time.advance(4 * TTL);
    expect([await outcome, all.asked, all.time.pending()]).toEqual(["UNAVAILABLE", Array(4).fill("list"), 0]);
  });

  test("ends at once with what the store refuses for good", async () => {
    const all = desk();
    const refused = new CatgaError(systemFault("VALIDATION", "no"));
    const store: Store = { ...all.at("a"), list: () => Promise.reject(refused) };
    await expect(all.lease("a", { store, timeout: undefined })).rejects.toBe(refused);
  });

  test("leaves out a worker whose mark is none", async () => {
    const all = desk();
    await all.store.put("workers/ids/mark/0", "something else");
    await expect(all.lease("a", { workers: 1 })).rejects.toMatchObject({ code: "OVERLOADED" });
    expect((await all.lease("a", { workers: 2 })).worker).toBe(1);
    expect((await all.store.get("workers/ids/mark/0"))?.value).toBe("something else");
  });
});

test.each([
  [{ workers: 0 }],
  [{ workers: 4097 }],
  [{ workers: 1.5 }],
  [{ ttl: 99 }],
  [{ ttl: NaN }],
  [{ timeout: -1 }],
  [{ timeout: NaN }],
  [{ name: "" }],
])("what cannot be is refused: %j", async (options) => {
  const all = desk();
  await expect(all.lease("a", options)).rejects.toThrow(RangeError);
  expect(all.asked).toEqual([]);
});
