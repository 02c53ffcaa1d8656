/** `SEED=7 bun test tests/simulation/cache.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { type CacheMutant, type CacheOutcome, runCache } from "./cache_scenario.ts";
import { drain } from "./drain.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["CACHE_SEEDS"] ?? ("Bun" in globalThis ? 40 : 10));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("a cache", () => {
  test(
    `answers nothing too old or from before a change, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const outcomes: CacheOutcome[] = [];
      for (const seed of seeds) outcomes.push(await runCache({ seed, drain }));
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      expect(Math.min(...outcomes.map(({ read }) => read))).toBeGreaterThan(500);
      for (const what of ["changed", "stale", "near", "down"] as const) {
        expect(outcomes.filter((outcome) => outcome[what] > 0).length).toBeGreaterThan(count / 10);
      }
    },
    120_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runCache({ seed: 5, drain }), await runCache({ seed: 5, drain })];
    expect(a).toEqual(b);
  });
});

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, readonly [mutant: CacheMutant, found: RegExp]>> = {
    "a value that is written over whatever is there": [
      {
        store: (store) => ({
          put: (key, value, { ttl, expected } = {}) =>
            store.put(key, value, value.includes("claim") ? { ttl, expected } : { ttl }),
        }),
      },
      /was answered in version/,
    ],
    "a tag that nobody looks at": [
      {
        store: (store) => ({
          get: (key) => key.includes("/tag/") ? Promise.resolve(undefined) : store.get(key),
        }),
      },
      /was answered in version/,
    ],
    "an entry that stays too long": [
      {
        store: (store) => ({
          put: (key, value, { ttl, ...options } = {}) => store.put(key, value, { ...options, ttl: 2 * ttl! }),
        }),
      },
      /ms old/,
    ],
    "a claim that nobody respects": [
      {
        store: (store) => ({
          get: (key) => store.get(key).then((entry) => entry?.value.includes("claim") ? undefined : entry),
          put: (key, value, { ttl, expected } = {}) =>
            store.put(key, value, expected === "absent" ? { ttl } : { ttl, expected }),
        }),
      },
      /computed \d+ times|was answered in version/,
    ],
  };
  for (const [name, [mutant, found]] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 300 && !found.test(failure); seed++) {
        failure = await runCache({ seed, drain, mutant }).then(() => "", (error: Error) => error.message);
      }
      expect(failure).toMatch(found);
    }, 120_000);
  }
});
