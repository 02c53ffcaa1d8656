/** `SEED=7 bun test tests/simulation/queue.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import type { CatgaError } from "@catga/catga";
import { drain } from "./drain.ts";
import { type QueueMutant, type QueueOutcome, runQueue } from "./queue_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["QUEUE_SEEDS"] ?? ("Bun" in globalThis ? 200 : 40));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("a queue", () => {
  test(
    `loses nothing, keeps the order of keys and is empty in the end, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const outcomes: QueueOutcome[] = [];
      for (const seed of seeds) outcomes.push(await runQueue({ seed, drain }));
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      for (const what of ["repeated", "late", "conflicts", "crashes"] as const) {
        const having = outcomes.filter((outcome) => outcome[what] > 0).length;
        expect([what, having > count / 10]).toEqual([what, true]);
      }
    },
    120_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runQueue({ seed: 5, drain }), await runQueue({ seed: 5, drain })];
    expect(a).toEqual(b);
  });
});

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, readonly [mutant: QueueMutant, found: RegExp]>> = {
    "a consumer that acknowledges before it does anything": [{ hasty: true }, /has done|does .* after/],
    "a consumer that does not know when its lease is over": [{ unfenced: true }, /is due/],
    "a push whose answer was lost and is taken for a yes": [
      {
        queue: (queue) => ({
          push: (topic, items, options) =>
            queue.push(topic, items, options).catch((error: CatgaError) => {
              if (error.code !== "TRANSPORT") throw error;
            }),
        }),
      },
      /has done|does .* after/,
    ],
    "a queue that does not know of keys": [
      {
        queue: (queue) => ({
          push: (topic, items, options) =>
            queue.push(topic, items.map(({ id, payload }) => ({ id, payload })), options),
        }),
      },
      /is due/,
    ],
    "a queue that does not know names again": [
      {
        queue: (queue) => {
          let again = 0;
          return {
            push: (topic, items, options) =>
              queue.push(
                topic,
                items.map(({ id, ...item }) => ({ ...item, id: `${id}/${again++}` })),
                options,
              ),
          };
        },
      },
      /does .* after/,
    ],
  };
  for (const [name, [mutant, found]] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 500 && !found.test(failure); seed++) {
        failure = await runQueue({ seed, drain, mutant }).then(() => "", (error: Error) => error.message);
      }
      expect(failure).toMatch(found);
    }, 120_000);
  }
});
