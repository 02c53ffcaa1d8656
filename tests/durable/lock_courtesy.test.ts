/** Locks over a store whose watches look from time to time: nobody who waits is passed by for long. */

import { describe, expect, test } from "bun:test";
import { createLocks, type Locks } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Change, Entry, Looks, Runtime, Store } from "@catga/catga/ports";
import { simulate, simulatedStore, type Simulation } from "@catga/catga/testing";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";
import { drain } from "../simulation/drain.ts";

interface Fight {
  readonly seed: number;
  readonly looks: Looks;
  /** How many workers each process has that take the lock again and again. */
  readonly workers: readonly number[];
  /** How long it is held at most, in ms. */
  readonly hold: number;
  /** For how long, in ms. @default 40 times as long as between two looks */
  readonly ms?: number;
  /** How long it is between two looks, in ms, if not as long as the store says. */
  readonly interval?: number;
  /** Whether the store says that its watches look. */
  readonly says?: boolean;
}

interface Outcome {
  /** How long anybody of each process had to wait, in ms; those who still wait count too. */
  readonly longest: readonly number[];
  readonly turns: readonly number[];
  /** How many commands each process sent. */
  readonly commands: readonly number[];
}

/** A watch that tells what there is whenever it looks, and nothing of what came and went between two looks. */
function looking(store: Store, { clock }: Runtime, interval: number, sent: () => void): Store {
  const counted = <A extends unknown[], T>(ask: (...args: A) => T) => (...args: A): T => {
    sent();
    return ask(...args);
  };
  return {
    get: counted((key, options) => store.get(key, options)),
    put: counted((key, value, options) => store.put(key, value, options)),
    delete: counted((key, options) => store.delete(key, options)),
    list: counted((prefix, options) => store.list(prefix, options)),
    async *watch(prefix, { signal } = {}): AsyncGenerator<Change, void, undefined> {
      const known = new Map<string, Entry>();
      for (let isFirst = true; signal?.aborted !== true; isFirst = false) {
        sent();
        const entries = await store.list(prefix, { signal });
        for (const entry of entries) {
          if (known.get(entry.key)?.revision !== entry.revision) yield { type: "put", entry };
        }
        for (const { key, revision } of known.values()) {
          if (!entries.some((entry) => entry.key === key)) yield { type: "delete", key, revision };
        }
        known.clear();
        for (const entry of entries) known.set(entry.key, entry);
        if (isFirst) yield { type: "ready" };
        await new Promise<void>((resolve) => {
          const stop = clock.timer(interval, resolve);
          signal?.addEventListener("abort", () => (stop(), resolve()), { once: true });
        });
      }
    },
  };
}

async function fight(options: Fight): Promise<Outcome> {
  const replay = (seed: number): string => `seed ${seed}`;
  const given = drain === undefined ? {} : { drain };
  return await simulate(
    { seed: options.seed, replay, ...given },
    (simulation) => rounds(simulation, options),
  );
}

async function rounds(
  simulation: Simulation,
  { looks, workers, hold, interval = looks.soon, ms = 40 * interval, says = true }: Fight,
): Promise<Outcome> {
  const random = simulation.random.fork("workers");
  // Requests of one turn arrive in order.
  const way = random.between(0.5, 10);
  const server = simulatedStore(simulation, { latency: [way, way] });
  const over = new AbortController();
  const [longest, turns, commands] = [workers.map(() => 0), workers.map(() => 0), workers.map(() => 0)];
  const waiting = new Set<{ readonly process: number; readonly since: number }>();
  const desks: Locks[] = [];
  let inside = 0;
  const waited = ({ process, since }: { readonly process: number; readonly since: number }): void => {
    longest[process] = Math.max(longest[process]!, simulation.time - since);
  };
  for (const [process, many] of workers.entries()) {
    const runtime = simulation.runtime(`p${process}`);
    const plain = looking(server.open(runtime), runtime, interval, () => void commands[process]!++);
    const store: Store = says ? { ...plain, looks } : plain;
    const locks = createLocks({ store, runtime, owner: `p${process}` });
    desks.push(locks);
    for (let worker = 0; worker < many; worker++) {
      const own = random.fork(`${process} ${worker}`);
      void (async () => {
        while (!over.signal.aborted) {
          const mine = { process, since: simulation.time };
          waiting.add(mine);
          await locks.run("x", async () => {
            waiting.delete(mine);
            waited(mine);
            turns[process]!++;
            if (++inside > 1) throw new Error("two at a time");
            await new Promise<void>((resolve) => void runtime.clock.timer(own.between(0, hold), resolve));
            inside--;
          }, { timeout: Infinity, signal: over.signal }).catch(() => {});
          waiting.delete(mine);
          // Only the first one never lets go.
          const pause = process === 0 ? 0 : own.between(0, 4 * looks.soon);
          await new Promise<void>((resolve) => void runtime.clock.timer(pause, resolve));
        }
      })();
    }
  }
  await simulation.run(ms);
  for (const mine of waiting) waited(mine);
  over.abort();
  for (const locks of desks) void locks[Symbol.asyncDispose]();
  await simulation.run(60_000);
  expect(server.entries()).toEqual([]);
  expect(simulation.pending().timers).toBe(0);
  return { longest, turns, commands };
}

const FAST: Looks = { soon: 100, late: 100 };
const DEFAULT: Looks = { soon: 500, late: 12_000 };
const HOLD = 20;
/** How long requests take at most in the simulation, there and back, for a few of them. */
const LAG = 100;
const seeds = [1, 2, 3];

const most = (outcomes: readonly Outcome[], process: number): number =>
  Math.max(...outcomes.map(({ longest }) => longest[process]!));

async function all(fights: Omit<Fight, "seed">): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const seed of seeds) outcomes.push(await fight({ ...fights, seed }));
  return outcomes;
}

describe("a lock over a store that is looked at", () => {
  test.each([["fast", FAST], ["default", DEFAULT]] as const)(
    "comes to another process within three looks, though one wants it all the time: %s",
    async (_, looks) => {
      for (const workers of [[1, 1], [4, 1]]) {
        const outcomes = await all({ looks, workers, hold: HOLD });
        // It leaves a mark after one look, which is read within as long, and looks again.
        expect(most(outcomes, 1)).toBeLessThanOrEqual(3 * looks.soon + HOLD + LAG);
        expect(most(outcomes, 0)).toBeLessThanOrEqual(3 * looks.soon + 4 * HOLD + LAG);
        for (const { turns } of outcomes) expect(turns[0]).toBeGreaterThan(turns[1]!);
      }
    },
    60_000,
  );

  test("goes round between three processes with several who want it", async () => {
    for (const workers of [[4, 4], [4, 1, 1]]) {
      const outcomes = await all({ looks: FAST, workers, hold: HOLD, ms: 10_000 });
      for (let process = 0; process < workers.length; process++) {
        expect(most(outcomes, process)).toBeLessThan(15 * FAST.soon);
      }
    }
  }, 60_000);

  test(
    "comes to another process that looks more rarely than it should, as its budget is used up",
    async () => {
      const outcomes = await all({
        looks: { soon: 500, late: 12_000 },
        interval: 6000,
        workers: [1, 1],
        hold: HOLD,
      });
      // It stays away for 0.75, 1.5, 3 and 6 s, half a second between them.
      expect(most(outcomes, 1)).toBeLessThan(6000 + 500 + 4 * 600 + 750 + 1500 + 3000 + 6000 + LAG);
    },
    60_000,
  );

  test("costs next to nothing while nobody else wants it", async () => {
    for (const looks of [FAST, DEFAULT]) {
      for (
        const { turns: [turns], commands: [commands], longest } of await all({
          looks,
          workers: [4],
          hold: HOLD,
        })
      ) {
        expect(commands).toBeLessThan(3.5 * turns!);
        expect(longest[0]).toBeLessThan(6 * HOLD + LAG);
      }
    }
  }, 60_000);

  test(
    "is seen to go to one process for long where the store does not say that it is looked at",
    async () => {
      const outcomes = await all({ looks: FAST, workers: [1, 1], hold: HOLD, ms: 20_000, says: false });
      expect(most(outcomes, 1)).toBeGreaterThan(20 * FAST.soon);
    },
    60_000,
  );
});

describe("who stays away for others", () => {
  const LOOKS: Looks = { soon: 500, late: 2000 };
  const MARK = "waits/locks/x/of another";

  /** Takes and gives back a lock all the time, for so many ms; answers when it had it. */
  async function work(time: FakeRuntime, locks: Locks, ms: number): Promise<readonly number[]> {
    const had: number[] = [];
    const over = new AbortController();
    void (async () => {
      while (!over.signal.aborted) {
        await locks.run("x", async () => {
          had.push(time.clock.mono());
          await new Promise<void>((resolve) => void time.clock.timer(10, resolve));
        }, { timeout: Infinity, signal: over.signal }).catch(() => {});
      }
    })();
    await time.advance(ms);
    over.abort();
    await time.advance(100);
    return had;
  }

  const pauses = (had: readonly number[]): readonly number[] =>
    had.slice(1).map((at, index) => at - had[index]! - 10).filter((pause) => pause > 0);

  function desk(change: (store: Store) => Partial<Store> = () => ({})) {
    const time = fakeRuntime();
    let last = 1;
    const random = { u32: () => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0 };
    const runtime: Runtime = { ...time, random, background: (work) => void work.catch(() => {}) };
    const kept = memoryStore({ clock: time.clock });
    const store: Store = {
      looks: LOOKS,
      get: (key, options) => kept.get(key, options),
      put: (key, value, options) => kept.put(key, value, options),
      delete: (key, options) => kept.delete(key, options),
      list: (prefix, options) => kept.list(prefix, options),
      watch: (prefix, options) => kept.watch(prefix, options),
      ...change(kept),
    };
    return { time, kept, locks: createLocks({ store, runtime, owner: "a" }) };
  }

  test("is asked to by one mark of each who waits, for as long as that one does", async () => {
    const { time, kept, locks } = desk();
    await kept.put("locks/x", "", { ttl: 60_000 });
    const waiters = ["x", "y"].map((name) => locks.acquire(name));
    await time.advance(LOOKS.soon - 1);
    const marks = async () => (await kept.list("waits/")).map(({ key }) => key);
    expect(await marks()).toEqual([]);
    await time.advance(1);
    const [mark, ...more] = await marks();
    expect([mark?.startsWith("waits/locks/x/"), more]).toEqual([true, []]);
    await time.advance(9000);
    expect(await marks()).toEqual([mark!]);
    await time.advance(1000);
    expect(await waiters[0]!.catch(({ code }) => code)).toBe("TIMEOUT");
    await time.advance(0);
    expect(await marks()).toEqual([]);
  });

  test("does so longer and longer, and no more once that is longer than any look", async () => {
    const { time, kept, locks } = desk();
    await kept.put(MARK, "");
    const had = await work(time, locks, 120_000);
    expect(pauses(had)).toEqual([750, 1500, 3000, 4500]);
  });

  test("does so again when the mark was written again, and not once it is gone", async () => {
    const { time, kept, locks } = desk();
    await kept.put(MARK, "");
    await work(time, locks, 20_000);
    await kept.put(MARK, "");
    expect(pauses(await work(time, locks, 20_000))).toEqual([4500]);
    await kept.delete(MARK);
    expect(pauses(await work(time, locks, 20_000))).toEqual([]);
  });

  test("does not do so for a moment's use, nor when it asks once", async () => {
    const { time, kept, locks } = desk();
    await kept.put(MARK, "");
    for (let times = 0; times < 10; times++) {
      await (await locks.acquire("x")).release();
      await time.advance(LOOKS.soon);
    }
    await work(time, locks, 600);
    expect((await locks.acquire("x", { timeout: 0 })).held()).toBe(true);
  });

  test("gets what it gave back when it asks once, at once and while others in it wait", async () => {
    const { time, locks } = desk();
    for (let times = 0; times < 200; times++) {
      const lease = await locks.acquire("x", { timeout: 0 });
      await time.advance(10);
      await lease.release();
    }
    void (await locks.acquire("x")).release();
    const lease = await locks.acquire("x", { timeout: 0 });
    expect(lease.held()).toBe(true);
    expect(await locks.acquire("x", { timeout: 0 }).catch(({ code }) => code)).toBe("CONFLICT");
  });

  test("goes on when nobody can say who waits, or says it late", async () => {
    for (const list of [() => Promise.reject(new Error("broken")), () => new Promise<never>(() => {})]) {
      const { time, locks } = desk(() => ({ list }));
      const had = await work(time, locks, 60_000);
      expect(had.at(-1)).toBeGreaterThan(50_000);
    }
  });
});
