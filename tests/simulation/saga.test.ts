/** `SEED=7 bun test tests/simulation/saga.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { drain } from "./drain.ts";
import { runSagas, type SagaOutcome } from "./saga_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["SAGA_SEEDS"] ?? ("Bun" in globalThis ? 100 : 20));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("sagas", () => {
  test(
    `all end, with each step done and undone once, whatever goes wrong, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const outcomes: SagaOutcome["outcomes"][] = [];
      for (const seed of seeds) outcomes.push((await runSagas({ seed, drain })).outcomes);
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      const sum = (name: string): number => outcomes.reduce((sum, outcome) => sum + (outcome[name] ?? 0), 0);
      for (const name of ["completed", "compensated", "repeated", "resumed"]) {
        expect(sum(name)).toBeGreaterThan(count / 2);
      }
    },
    120_000,
  );

  test("go the same way with the same seed", async () => {
    expect(await runSagas({ seed: 5, drain })).toEqual(await runSagas({ seed: 5, drain }));
  });
});
