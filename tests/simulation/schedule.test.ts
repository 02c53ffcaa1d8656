/** `SEED=7 bun test tests/simulation/schedule.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import type { CatgaError } from "@catga/catga";
import { drain } from "./drain.ts";
import { runSchedule, type ScheduleMutant, type ScheduleOutcome } from "./schedule_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["SCHEDULE_SEEDS"] ?? ("Bun" in globalThis ? 30 : 10));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("what is scheduled", () => {
  test(
    `comes, in time, unless it was called off, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const all: ScheduleOutcome["outcomes"][] = [];
      for (const seed of seeds) all.push((await runSchedule({ seed, drain })).outcomes);
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      const sum = (name: string): number => all.reduce((sum, outcomes) => sum + (outcomes[name] ?? 0), 0);
      expect(sum("done")).toBeGreaterThan(20 * count);
      expect(sum("called off")).toBeGreaterThan(count);
      expect(sum("again")).toBeGreaterThan(count / 20);
    },
    120_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runSchedule({ seed: 5, drain }), await runSchedule({ seed: 5, drain })];
    expect(a).toEqual(b);
  }, 60_000);
});

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, readonly [mutant: ScheduleMutant, found: RegExp]>> = {
    "a firing that is not claimed before it is delivered": [
      {
        store: (store) => ({
          put: (key, value, options) =>
            key.startsWith("schedules/at/") && value.includes('"firing":true') &&
              typeof options?.expected === "number"
              ? Promise.resolve(options.expected)
              : store.put(key, value, options),
        }),
      },
      /came after it was called off/,
    ],
    "a call-off that takes a lost answer for a yes": [
      {
        store: (store) => ({
          put: (key, value, options) =>
            store.put(key, value, options).catch((error: CatgaError) => {
              if (error.code !== "TRANSPORT" || value !== "called off") throw error;
              return 1;
            }),
        }),
      },
      /came after it was called off/,
    ],
    "a schedule that takes a lost answer for a yes": [
      {
        store: (store) => ({
          put: (key, value, options) =>
            store.put(key, value, options).catch((error: CatgaError) => {
              if (error.code !== "TRANSPORT" || options?.expected !== "absent") throw error;
              return 1;
            }),
        }),
      },
      /never came|was neither/,
    ],
  };
  for (const [name, [mutant, found]] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 300 && !found.test(failure); seed++) {
        failure = await runSchedule({ seed, drain, mutant }).then(() => "", (error: Error) => error.message);
      }
      expect(failure).toMatch(found);
    }, 120_000);
  }
});
