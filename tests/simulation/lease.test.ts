/** `SEED=7 bun test tests/simulation/lease.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import type { CatgaError } from "@catga/catga";
import { drain } from "./drain.ts";
import { type LeaseMutant, type LeaseOutcome, runLeases } from "./lease_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["LEASE_SEEDS"] ?? ("Bun" in globalThis ? 300 : 60));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("a lease", () => {
  test(
    `has one holder, growing tokens, and a holder again after faults, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const outcomes: LeaseOutcome[] = [];
      for (const seed of seeds) outcomes.push(await runLeases({ seed, drain }));
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      expect(Math.min(...outcomes.map(({ acquired }) => acquired))).toBeGreaterThan(3);
      expect(outcomes.filter(({ refused }) => refused > 0).length).toBeGreaterThan(count / 10);
      expect(outcomes.filter(({ lost }) => (lost["TIMEOUT"] ?? 0) > 0).length).toBeGreaterThan(count / 10);
      // Whoever has to hear it from the store hears it too late.
      expect(outcomes.filter(({ lost }) => lost["CONFLICT"] !== undefined)).toEqual([]);
    },
    120_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runLeases({ seed: 5, drain }), await runLeases({ seed: 5, drain })];
    expect(a).toEqual(b);
  });
});

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, readonly [mutant: LeaseMutant, found: RegExp]>> = {
    "an acquisition that does not look whether it is free any more": [
      {
        store: (store) => ({
          put: (key, value, { expected, ...options } = {}) =>
            store.put(key, value, expected === "absent" ? options : { expected, ...options }),
        }),
      },
      /both believe/,
    ],
    "an answer that was lost and is taken for a yes": [
      {
        store: (store) => ({
          put: (key, value, options) =>
            store.put(key, value, options).catch((error: CatgaError) => {
              if (error.code !== "TRANSPORT" || typeof options?.expected !== "number") throw error;
              return options.expected;
            }),
        }),
      },
      /both believe/,
    ],
    "a holder that does not know when its time is over": [
      {
        runtime: (runtime) => ({
          ...runtime,
          clock: { ...runtime.clock, mono: () => runtime.clock.mono() / 2 },
        }),
      },
      /both believe/,
    ],
  };
  for (const [name, [mutant, found]] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 2000 && !found.test(failure); seed++) {
        failure = await runLeases({ seed, drain, mutant }).then(() => "", (error: Error) => error.message);
      }
      expect(failure).toMatch(found);
    }, 120_000);
  }
});
