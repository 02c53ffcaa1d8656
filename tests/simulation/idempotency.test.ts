/** `SEED=7 bun test tests/simulation/idempotency.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import type { CatgaError } from "@catga/catga";
import { drain } from "./drain.ts";
import { type IdempotencyMutant, type IdempotencyOutcome, runIdempotency } from "./idempotency_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["IDEMPOTENCY_SEEDS"] ?? ("Bun" in globalThis ? 200 : 40));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("an idempotent command", () => {
  test(
    `has one handler at a time and one answer for all, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const outcomes: IdempotencyOutcome[] = [];
      for (const seed of seeds) outcomes.push(await runIdempotency({ seed, drain }));
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      const share = (fits: (outcome: IdempotencyOutcome) => boolean): number =>
        outcomes.filter(fits).length / count;
      expect(share(({ repeated }) => repeated > 0)).toBeGreaterThan(0.5);
      expect(share(({ fenced }) => fenced > 0)).toBeGreaterThan(0.1);
      for (const code of ["ok", "DECLINED", "TIMEOUT", "TRANSPORT", "UNAVAILABLE", "silence"]) {
        expect(share(({ outcomes: codes }) => codes[code] !== undefined)).toBeGreaterThan(0.1);
      }
    },
    120_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runIdempotency({ seed: 5, drain }), await runIdempotency({ seed: 5, drain })];
    expect(a).toEqual(b);
  });
});

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, readonly [mutant: IdempotencyMutant, found: RegExp]>> = {
    "a claim that does not look whether there is one": [
      {
        store: (store) => ({
          put: (key, value, { expected, ...options } = {}) =>
            store.put(key, value, expected === "absent" ? options : { expected, ...options }),
        }),
      },
      /began|was answered with/,
    ],
    "an answer that is written over that of another": [
      {
        store: (store) => ({
          put: (key, value, { expected, ...options } = {}) =>
            store.put(key, value, value.startsWith("text") ? options : { expected, ...options }),
        }),
      },
      /was answered with .* and/,
    ],
    "an answer that was lost and is taken for a yes": [
      {
        store: (store) => ({
          put: (key, value, options) =>
            store.put(key, value, options).catch((error: CatgaError) => {
              if (error.code !== "TRANSPORT") throw error;
              return typeof options?.expected === "number" ? options.expected : 0;
            }),
        }),
      },
      /began|was answered with/,
    ],
    "an owner that does not know when its time is over": [
      {
        runtime: (runtime) => ({
          ...runtime,
          clock: {
            ...runtime.clock,
            mono: () => runtime.clock.mono() / 2,
            timer: (ms, run) => runtime.clock.timer(ms * 2, run),
          },
        }),
      },
      /began on . while it was handled on/,
    ],
  };
  for (const [name, [mutant, found]] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 1000 && !found.test(failure); seed++) {
        failure = await runIdempotency({ seed, drain, mutant }).then(
          () => "",
          (error: Error) => error.message,
        );
      }
      expect(failure).toMatch(found);
    }, 120_000);
  }
});
