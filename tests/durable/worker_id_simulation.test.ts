/**
 * Nodes that lease workers and make ids, while clocks jump and drift, processes crash and stand still, and the store
 * fails in every way: no id is made twice. `SEED=7 bun test tests/durable/worker_id_simulation.test.ts` runs one seed.
 */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { CatgaError } from "@catga/catga";
import { leaseWorker } from "@catga/catga/durable";
import { snowflake, type SnowflakeLayout } from "@catga/catga/ids";
import type { Clock, Runtime, Store } from "@catga/catga/ports";
import { injectFaults, type SeededRandom, simulate, simulatedStore } from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

const TTL = 1000;
const FAULTS = 8000;
const CALM = 4000;
/** Few workers and few ids a ms, so that numbers are used again and ids run ahead of the clock. */
const LAYOUT: SnowflakeLayout = { time: 41, worker: 2, sequence: 3 };
const NAMES = ["a", "b", "c", "d", "e"];

const chosen = process.env["SEED"];
const count = "Bun" in globalThis ? 60 : 20;
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, at) => Number(chosen ?? 1) + at);

interface Outcome {
  readonly ids: number;
  readonly leases: number;
  /** How often an id was refused, by the code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when an id was made twice, or none once nothing goes wrong any more. */
function run(seed: number, mutant: (store: Store) => Partial<Store> = () => ({})): Promise<Outcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/durable/worker_id_simulation.test.ts`;
  const world = {
    seed,
    replay,
    skew: 2000,
    drift: 0.0045,
    lateness: 5,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const chance = simulation.random.fork("ids");
    const server = simulatedStore(simulation, { latency: [0.2, chance.between(1, 30)] });
    const stopped = new AbortController();
    const made = new Set<bigint>();
    const refused: Record<string, number> = {};
    let leases = 0;
    let twice: string | undefined;

    const take = (name: string, ids: readonly bigint[]): void => {
      for (const id of ids) {
        if (made.has(id)) twice ??= `${name} made ${id}, which was made before`;
        made.add(id);
      }
    };
    const live = async (
      name: string,
      store: Store,
      runtime: Runtime,
      random: SeededRandom,
    ): Promise<void> => {
      const { signal } = stopped;
      while (!signal.aborted) {
        const worker = await leaseWorker({ store, runtime, owner: name, workers: 4, ttl: TTL, signal })
          .catch(() => undefined);
        if (worker === undefined) continue;
        leases++;
        const ids = snowflake({ clock: runtime.clock, worker, layout: LAYOUT });
        for (let steps = random.below(60); steps > 0 && !signal.aborted; steps--) {
          try {
            const many = random.chance(0.1) ? random.below(3000) : random.below(30);
            take(name, random.chance(0.3) ? [ids.next()] : [...ids.fill(new BigUint64Array(many))]);
          } catch (thrown) {
            if (!CatgaError.is(thrown)) throw thrown;
            refused[thrown.code] = (refused[thrown.code] ?? 0) + 1;
            // Too many are only too many just now; after all else another worker is leased.
            if (thrown.code !== "OVERLOADED") break;
          }
          await sleep(runtime.clock, random.between(1, 60));
        }
        await worker.release();
        await sleep(runtime.clock, random.between(0, 100));
      }
    };
    const start = (name: string): void => {
      const runtime = simulation.runtime(name);
      const store = server.open(runtime);
      const random = chance.fork(`${name} ${simulation.time}`);
      void live(name, { ...plain(store), ...mutant(store) }, runtime, random);
    };
    const until = async (condition: () => boolean, ms: number): Promise<boolean> => {
      const held = await simulation.until(() => twice !== undefined || condition(), ms);
      if (twice !== undefined) throw new Error(twice);
      return held;
    };

    for (const name of NAMES) start(name);
    injectFaults(simulation, {
      network: simulation.network(),
      nodes: NAMES,
      ms: FAULTS,
      restart: start,
      kinds: ["pause", "crash", "jump", "drift"],
    });
    const rate = (most: number): number => chance.chance(0.5) ? most * chance.fraction() : 0;
    server.change({
      refused: rate(0.1),
      lost: rate(0.1),
      unanswered: rate(0.2),
      slow: rate(0.1),
      silence: chance.chance(0.5) ? [20, 200] : [500, 3000],
    });
    await until(() => false, FAULTS);
    server.heal();
    const before = made.size;
    await until(() => false, CALM);
    if (made.size === before) throw new Error(`no id was made in ${CALM} ms without a fault`);
    stopped.abort();
    await until(() => false, 10 * TTL);
    const left = server.entries().filter(({ key }) => key.includes("/lease/"));
    if (left.length > 0 || simulation.pending().timers > 0) throw new Error("something was left behind");
    return { ids: made.size, leases, refused, hash: simulation.trace.hash };
  });
}

describe("ids of leased workers", () => {
  test(
    `are all different, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const outcomes: Outcome[] = [];
      for (const seed of seeds) outcomes.push(await run(seed));
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      expect(Math.min(...outcomes.map(({ ids }) => ids))).toBeGreaterThan(1000);
      expect(Math.min(...outcomes.map(({ leases }) => leases))).toBeGreaterThan(5);
      for (const code of ["UNAVAILABLE", "OVERLOADED", "TIMEOUT"]) {
        expect([code, outcomes.some(({ refused }) => (refused[code] ?? 0) > 0)]).toEqual([code, true]);
      }
    },
    120_000,
  );

  test("go the same way with the same seed", async () => {
    expect(await run(5)).toEqual(await run(5));
  });

  test("are all different also where the store gives one lease to many", async () => {
    for (const seed of seeds.slice(0, 20)) {
      await run(seed, (store) => ({
        list: async (prefix, options) =>
          (await store.list(prefix, options)).filter(({ key }) => !key.includes("/lease/")),
        get: (key, options) => key.includes("/lease/") ? Promise.resolve(undefined) : store.get(key, options),
        put: (key, value, { expected, ...options } = {}) =>
          store.put(key, value, key.includes("/lease/") ? options : { expected, ...options }),
      })).catch((error: Error) => {
        // Nothing but ids is promised then: leases that nobody can find stay.
        if (/made before/.test(error.message)) throw error;
      });
    }
  }, 120_000);
});

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, (store: Store) => Partial<Store>>> = {
    "a mark that is forgotten": (store) => ({
      list: async (prefix, options) =>
        (await store.list(prefix, options)).filter(({ key }) => !key.includes("/mark/")),
      get: (key, options) => key.includes("/mark/") ? Promise.resolve(undefined) : store.get(key, options),
      put: (key, value, { expected, ...options } = {}) =>
        store.put(key, value, key.includes("/mark/") ? options : { expected, ...options }),
    }),
    "a mark that says less than was reserved": (store) => ({
      put: (key, value, options) => {
        if (!key.includes("/mark/")) return store.put(key, value, options);
        const { until, token } = JSON.parse(value);
        return store.put(key, JSON.stringify({ until: until - 3000, token }), options);
      },
    }),
  };

  test.each(Object.keys(mutants))("%s", async (name) => {
    let found: unknown;
    for (let seed = 1; seed <= 40 && found === undefined; seed++) {
      found = await run(seed, mutants[name]!).then(() => undefined, (error: Error) => error.message);
    }
    expect(String(found)).toMatch(/made before/);
  }, 120_000);
});

/** Its methods as plain properties, so that some can be put in place of others. */
function plain(store: Store): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
  };
}

function sleep(clock: Pick<Clock, "timer">, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.timer(ms, resolve));
}
