/** Reliable events while things go wrong, by seed; and rules broken on purpose, each of which is noticed. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { drain } from "./drain.ts";
import type { GetOptions, Queue, Store } from "@catga/catga/ports";
import { type DeliveryMutant, type DeliveryOutcome, runDeliveries } from "./deliveries_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["DELIVERY_SEEDS"] ?? ("Bun" in globalThis ? 40 : 8));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("reliable events", () => {
  test(`are heard in order, and have their effect once, in ${seeds.length} seeds`, async () => {
    const outcomes: DeliveryOutcome[] = [];
    for (const seed of seeds) outcomes.push(await runDeliveries({ seed, drain }));
    if (chosen !== undefined) return;
    const sum = (of: (outcome: DeliveryOutcome) => number) =>
      outcomes.reduce((all, each) => all + of(each), 0);
    expect(sum(({ heard }) => heard)).toBeGreaterThan(50 * count);
    expect(sum(({ letters }) => letters)).toBeGreaterThan(count);
    expect(sum(({ again }) => again)).toBeGreaterThan(0);
    expect(sum(({ ended }) => ended)).toBeGreaterThan(count);
  }, 240_000);

  test("are the same whenever the seed is", async () => {
    const [one, two] = [await runDeliveries({ seed: 3, drain }), await runDeliveries({ seed: 3, drain })];
    expect(one).toEqual(two);
  }, 60_000);
});

/** How often each delivery was handed out, for mutants that do not know what came of that. */
const handedOut = new Map<string, number>();
const counting = (queue: Queue): Partial<Queue> => ({
  pull: async (...args) => {
    const deliveries = await queue.pull(...args);
    for (const { id, attempt } of deliveries) handedOut.set(id, attempt);
    return deliveries;
  },
});
/** Says something else of the failures that were kept. */
const remembering = (change: (failures: Failures, times: number) => Partial<Failures>) => (store: Store) => ({
  get: async (key: string, options?: GetOptions) => {
    const entry = await store.get(key, options);
    if (!key.startsWith("failures/")) return entry;
    const times = handedOut.get(key.split("/").at(-2)!) ?? 1;
    const kept = JSON.parse(entry?.value ?? '{"failed":0,"heard":0,"alone":0,"at":0}') as Failures;
    const value = JSON.stringify({ ...kept, ...change(kept, times) });
    const revision = entry?.revision ?? await store.put(key, value, { expected: "absent" });
    return { key, revision, value };
  },
});
interface Failures {
  readonly failed: number;
  readonly heard: number;
  readonly alone: number;
}
/** Does not keep some of them. */
const dropping = (which: (failures: Failures) => boolean) => (store: Store): Partial<Store> => ({
  put: (key, value, options) =>
    key.startsWith("failures/") && which(JSON.parse(value) as Failures)
      ? Promise.resolve(options?.expected === "absent" ? 1 : Number(options?.expected))
      : store.put(key, value, options),
});

const mutants: Readonly<Record<string, DeliveryMutant>> = {
  "an acknowledgement before the handler": {
    queue: (queue) => ({
      pull: async (...args) => {
        const deliveries = await queue.pull(...args);
        for (const delivery of deliveries) await delivery.ack().catch(() => {});
        return deliveries.map(({ id, key, payload, attempt, pushed }) => {
          const nothing = (): Promise<void> => Promise.resolve();
          return { id, key, payload, attempt, pushed, ack: nothing, retry: nothing, extend: nothing };
        });
      },
    }),
  },
  "a push that forgets the key": {
    queue: (queue) => ({
      push: (topic, items, options) => queue.push(topic, items.map(({ key: _, ...item }) => item), options),
    }),
  },
  "a push that says it is done before it is": {
    queue: (queue) => ({
      push: (topic, items, options) => {
        queue.push(topic, items, options).catch(() => {});
        return Promise.resolve();
      },
    }),
  },
  "a dead letter that is not kept": {
    store: (store) => ({
      put: (key, ...rest) => key.startsWith("dead-letters/") ? Promise.resolve(1) : store.put(key, ...rest),
    }),
  },
  "hand-outs that count as failures": {
    queue: counting,
    store: remembering((_, times) => ({ failed: times - 1 })),
  },
  "failures that are not kept": { store: dropping(({ failed }) => failed > 0) },
  "hand-outs that all count as heard of": {
    queue: counting,
    store: remembering((_, times) => ({ heard: times - 1 })),
  },
  "a delivery that is alone and not written down": { store: dropping(({ alone }) => alone > 0) },
  "a record that forgets what was applied to it": {
    store: (store) => ({
      put: (key, value, options) =>
        store.put(key, key.startsWith("records/") ? forgetful(value) : value, options),
    }),
  },
};

describe("the simulation notices", () => {
  test.each(Object.entries(mutants))("%s", async (_name, mutant) => {
    let noticed: string | undefined;
    for (let seed = 1; seed <= 200 && noticed === undefined; seed++) {
      await runDeliveries({ seed, drain, mutant }).catch((error: Error) => noticed = error.message);
    }
    expect(noticed).toMatch(
      /is lost|began before|has counted|has no effect|not all was heard|a dead letter|had company/,
    );
  }, 240_000);
});

/** A record without the deliveries that were applied to it. */
function forgetful(value: string): string {
  const [head = "", ...rest] = value.split("\n");
  const parts = JSON.parse(head) as unknown[];
  parts[2] = [];
  return [JSON.stringify(parts), ...rest].join("\n");
}
