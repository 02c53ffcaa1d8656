/** `SEED=7 bun test tests/simulation/limiter.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import type { CatgaError } from "@catga/catga";
import { drain } from "./drain.ts";
import { type LimiterMutant, type LimiterOutcome, runLimiter } from "./limiter_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["LIMITER_SEEDS"] ?? ("Bun" in globalThis ? 40 : 10));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("a rate limit", () => {
  test(
    `is never gone over and is reached after faults, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const outcomes: LimiterOutcome[] = [];
      for (const seed of seeds) outcomes.push(await runLimiter({ seed, drain }));
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      expect(Math.min(...outcomes.map(({ allowed }) => allowed))).toBeGreaterThan(3);
      expect(outcomes.filter(({ refused }) => refused > 10).length).toBeGreaterThan(count / 2);
      expect(outcomes.filter(({ failed }) => failed > 0).length).toBeGreaterThan(count / 4);
    },
    120_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runLimiter({ seed: 5, drain }), await runLimiter({ seed: 5, drain })];
    expect(a).toEqual(b);
  });
});

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, LimiterMutant>> = {
    "a write that does not look what others took": {
      store: (store) => ({ put: (key, value, { ttl } = {}) => store.put(key, value, { ttl }) }),
    },
    "an answer that was lost and is taken for a yes": {
      store: (store) => ({
        put: (key, value, options) =>
          store.put(key, value, options).catch((error: CatgaError) => {
            if (error.code !== "TRANSPORT") throw error;
            return typeof options?.expected === "number" ? options.expected + 1 : 1;
          }),
      }),
    },
    "an entry that goes too early": {
      store: (store) => ({
        put: (key, value, { ttl, ...options } = {}) => store.put(key, value, { ...options, ttl: 0.8 * ttl! }),
      }),
    },
    "a clock that goes at half its pace, so that what was taken long ago is used": {
      runtime: (runtime) => ({
        ...runtime,
        clock: { ...runtime.clock, mono: () => runtime.clock.mono() / 4, timer: runtime.clock.timer },
      }),
    },
  };
  for (const [name, mutant] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 500 && !failure.includes("allowed"); seed++) {
        failure = await runLimiter({ seed, drain, mutant }).then(() => "", (error: Error) => error.message);
      }
      expect(failure).toMatch(/allowed/);
    }, 120_000);
  }
});
