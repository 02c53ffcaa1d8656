/** `SEED=7 bun test tests/simulation/lock.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { drain } from "./drain.ts";
import { type LockMutant, type LockOutcome, runLocks } from "./lock_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["LOCK_SEEDS"] ?? ("Bun" in globalThis ? 40 : 10));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("a lock", () => {
  test(
    `has one holder, loses no step, and goes round, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const outcomes: LockOutcome[] = [];
      for (const seed of seeds) outcomes.push(await runLocks({ seed, drain }));
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      expect(Math.min(...outcomes.map(({ counted }) => counted))).toBeGreaterThan(20);
      for (const what of ["refused", "lost", "late"] as const) {
        expect(outcomes.filter((outcome) => outcome[what] > 0).length).toBeGreaterThan(count / 10);
      }
    },
    120_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runLocks({ seed: 5, drain }), await runLocks({ seed: 5, drain })];
    expect(a).toEqual(b);
  });
});

test("the simulation notices a lock that is taken though it is held", async () => {
  const mutant: LockMutant = {
    store: (store) => ({
      put: (key, value, { expected, ...options } = {}) =>
        store.put(key, value, expected === "absent" ? options : { expected, ...options }),
    }),
  };
  let failure = "";
  for (let seed = 1; seed <= 300 && !/both hold|two of/.test(failure); seed++) {
    failure = await runLocks({ seed, drain, mutant }).then(() => "", (error: Error) => error.message);
  }
  expect(failure).toMatch(/both hold|two of/);
}, 120_000);
