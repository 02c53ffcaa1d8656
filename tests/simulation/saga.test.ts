/** `SEED=7 bun test tests/simulation/saga.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { drain } from "./drain.ts";
import { runSagas, type SagaMutant, type SagaOutcome } from "./saga_scenario.ts";

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

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, readonly [mutant: SagaMutant, found: RegExp]>> = {
    "an executor that writes over what another wrote": [
      {
        store: (store) => ({
          put: (key, value, options = {}) => {
            const { expected: _, ...unfenced } = options;
            return store.put(key, value, key.startsWith("sagas/of/") ? unfenced : options);
          },
        }),
      },
      /./,
    ],
    "steps that are sent under another key each time": [
      {
        services: (services, runtime) => {
          const { send } = services.dispatcher(runtime);
          const keyed: typeof send = (message, options) =>
            send(message, {
              ...options,
              headers: {
                "idempotency-key": `${options?.headers?.["idempotency-key"]} ${runtime.random.u32()}`,
              },
            });
          return { send: keyed } as ReturnType<typeof services.dispatcher>;
        },
      },
      /actions|undid|undone|twice|happened after/,
    ],
    "what it waits for and is lost": [
      {
        store: (store) => ({
          put: (key, value, options) =>
            key.startsWith("sagas/until/") ? Promise.resolve(1) : store.put(key, value, options),
        }),
      },
      /instead of completed/,
    ],
  };
  for (const [name, [mutant, found]] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 100 && !found.test(failure); seed++) {
        failure = await runSagas({ seed, drain, mutant }).then(() => "", (error: Error) => error.message);
      }
      expect(failure).toMatch(found);
    }, 60_000);
  }
});
