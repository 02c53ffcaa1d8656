/** `SEED=7 bun test tests/simulation/shards.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { drain } from "./drain.ts";
import { runShards, type ShardMutant, type ShardOutcome } from "./shards_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["SHARD_SEEDS"] ?? ("Bun" in globalThis ? 60 : 15));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("shards and a leader by lease", () => {
  test(
    `have one owner each, growing tokens, and their places again after faults, seeds ${seeds[0]} to ${
      seeds.at(-1)
    }`,
    async () => {
      const outcomes: ShardOutcome[] = [];
      for (const seed of seeds) outcomes.push(await runShards({ seed, drain }));
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      const sum = (of: (outcome: ShardOutcome) => number): number =>
        outcomes.reduce((total, outcome) => total + of(outcome), 0);
      expect(Math.min(...outcomes.map(({ answered }) => answered))).toBeGreaterThan(50);
      expect(sum(({ moves }) => moves)).toBeGreaterThan(10 * count);
      expect(sum(({ terms }) => terms)).toBeGreaterThan(count);
    },
    300_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runShards({ seed: 5, drain }), await runShards({ seed: 5, drain })];
    expect(a).toEqual(b);
  });
});

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, readonly [mutant: ShardMutant, found: RegExp]>> = {
    "something written to that does not look at tokens": [{ unfenced: true }, /was accepted after/],
    "a node that takes shards though the lease of their owner is not over": [
      {
        store: (store) => ({
          get: (key, options) =>
            key.startsWith("shards/by/") ? Promise.resolve(undefined) : store.get(key, options),
        }),
      },
      /both own|began with token|was not told to stop/,
    ],
    "a taking that does not look whose shard it is": [
      {
        store: (store) => ({
          put: (key, value, { expected, ...options } = {}) =>
            store.put(key, value, key.startsWith("shards/of/") ? options : { expected, ...options }),
        }),
      },
      /both own|began with token|was not told to stop/,
    ],
    "a node that does not know when its lease is over": [
      {
        runtime: (runtime) => ({
          ...runtime,
          clock: { ...runtime.clock, mono: () => runtime.clock.mono() / 2 },
        }),
      },
      /both lead|both own/,
    ],
    "a leader that takes a lease that is not free": [
      {
        store: (store) => ({
          put: (key, value, { expected, ...options } = {}) =>
            store.put(key, value, key === "leader" ? options : { expected, ...options }),
        }),
      },
      /both lead/,
    ],
  };
  for (const [name, [mutant, found]] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 2000 && !found.test(failure); seed++) {
        failure = await runShards({ seed, drain, mutant }).then(() => "", (error: Error) => error.message);
      }
      expect(failure).toMatch(found);
    }, 300_000);
  }
});
