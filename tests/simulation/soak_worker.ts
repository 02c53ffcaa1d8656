/** Runs the seeds that come in as lines of JSON, for tools/soak.mjs. */

import process from "node:process";
import { createInterface } from "node:readline";
import type { Drain } from "@catga/catga/testing";
import { runCache } from "./cache_scenario.ts";
import { runDeliveries } from "./deliveries_scenario.ts";
import { drain } from "./drain.ts";
import { runEvents } from "./events_scenario.ts";
import { runIdempotency } from "./idempotency_scenario.ts";
import { runLeases } from "./lease_scenario.ts";
import { runLimiter } from "./limiter_scenario.ts";
import { runLocks } from "./lock_scenario.ts";
import { runMembership } from "./membership_scenario.ts";
import { runQueue } from "./queue_scenario.ts";
import { runSagas } from "./saga_scenario.ts";
import { runRecords } from "./records_scenario.ts";
import { runSeed } from "./scenario.ts";
import { runSchedule } from "./schedule_scenario.ts";
import { runShards } from "./shards_scenario.ts";

interface SeedOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
}

/** What a run may answer with; the rest of it is not looked at. */
interface Outcome {
  readonly outcomes?: Readonly<Record<string, number>>;
}

type Scenario = (options: SeedOptions) => Promise<object>;

/** All scenarios, by the name of the test that runs one seed of it again. */
const scenarios: Readonly<Record<string, Scenario>> = {
  cluster: runSeed,
  membership: runMembership,
  lease: runLeases,
  shards: runShards,
  queue: runQueue,
  deliveries: runDeliveries,
  saga: runSagas,
  idempotency: runIdempotency,
  lock: runLocks,
  cache: runCache,
  limiter: runLimiter,
  records: runRecords,
  schedule: runSchedule,
  events: runEvents,
};

const say = (message: object): boolean => process.stdout.write(`${JSON.stringify(message)}\n`);

say({ ready: true, scenarios: Object.keys(scenarios) });
for await (const line of createInterface({ input: process.stdin })) {
  const { scenario, seeds } = JSON.parse(line) as { readonly scenario: string; readonly seeds: number[] };
  for (const seed of seeds) {
    try {
      const { outcomes }: Outcome = await scenarios[scenario]!({ seed, drain });
      say({ scenario, seed, outcomes });
    } catch (error) {
      say({ scenario, seed, error: error instanceof Error ? error.message : String(error) });
    }
  }
  say({ ready: true });
}
