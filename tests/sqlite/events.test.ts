/** The event store in a file, as every one is promised to be: by two connections. */

import { describe, expect, test } from "bun:test";
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

describe("the SQLite event store", () => {
  test("reads hundreds of events at once, and fewer where they are large", async () => {
    const { events, close } = await underTest();
    const small = Array.from({ length: 500 }, (_, at) => ({ id: `${at}`, type: "t", data: "{}" }));
    await events.append("small", small);
    expect((await events.read("small")).map(({ id }) => id)).toEqual(small.map(({ id }) => id));
    expect((await events.read("small", { backward: true, limit: 400 })).at(-1)?.id).toBe("100");
    for (let at = 0; at < 4; at++) {
      const large = Array.from(
        { length: 10 },
        (_, n) => ({ id: `${at} ${n}`, type: "t", data: "x".repeat(250_000) }),
      );
      await events.append("large", large);
    }
    const ids: string[] = [];
    let parts = 0;
    for (let part = await events.read("large"); part.length > 0; parts++) {
      ids.push(...part.map(({ id }) => id));
      part = await events.read("large", { from: ids.length + 1 });
    }
    expect([ids.length, new Set(ids).size]).toEqual([40, 40]);
    expect(parts).toBeGreaterThan(1);
    await close!();
  });
});
