/** The event store in a file, as every one is promised to be: by two connections. */

import { describe, test } from "bun:test";
import { systemRuntime } from "@catga/catga/ports";
import {
  eventStoreConformance,
  type EventStoreUnderTest,
} from "../../src/testing/event_store_conformance.ts";
import { folder } from "./support.ts";

async function underTest(): Promise<EventStoreUnderTest> {
  // A wait has to end though no time was told to pass, so time is real here.
  const runtime = systemRuntime();
  const files = folder();
  const options = { runtime, durability: "process" } as const;
  const [one, two] = [await files.open(options), await files.open(options)];
  return {
    events: one.events,
    other: two.events,
    pass: (ms) => new Promise((resolve) => void runtime.clock.timer(ms, resolve)),
    close: () => files.remove(),
  };
}

describe("the SQLite event store is an event store", () => {
  for (const { name, run } of eventStoreConformance(underTest, { wait: 200 })) test(name, run);
});
