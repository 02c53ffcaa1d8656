import type { EventStore } from "../ports/event_store.ts";
import type { ConformanceCheck } from "./store_conformance.ts";
import { appendChecks } from "./event_store_append_checks.ts";
import { readChecks } from "./event_store_read_checks.ts";
import { EventStoreTrial } from "./event_store_trial.ts";

/** An event store to be looked at, without streams whose names begin with the prefix it is looked at with. */
export interface EventStoreUnderTest {
  /** The store. */
  readonly events: EventStore;
  /** Another way to the same store, such as another node's. @default the same one */
  readonly other?: EventStore;
  /** Lets so many ms pass by the store's clock; where time is real, it sleeps. */
  pass(ms: number): Promise<void>;
  /** Ends what was begun for it. */
  close?(): Promise<void>;
}

/** What {@linkcode eventStoreConformance} takes. */
export interface EventStoreConformanceOptions {
  /** The longest that the checks wait for an event, in ms: longer where a store is slow. @default 1000 */
  readonly wait?: number;
  /** What the streams of the checks begin with, for a store that others use too. @default "conformance/" */
  readonly prefix?: string;
}

/**
 * The checks that every event store has to pass, as data, for any test runner.
 *
 * @param make makes what a check looks at, once for each
 *
 * @example
 * ```ts
 * import { memoryEventStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 * import { eventStoreConformance } from "@catga/catga/testing";
 *
 * const { clock } = systemRuntime();
 * const checks = eventStoreConformance(() =>
 *   Promise.resolve({
 *     events: memoryEventStore({ clock }),
 *     pass: (ms) => new Promise((resolve) => void clock.timer(ms, resolve)),
 *   })
 * );
 * for (const { name, run } of checks.slice(0, 3)) await run().then(() => console.log("kept:", name));
 * ```
 */
export function eventStoreConformance(
  make: () => Promise<EventStoreUnderTest>,
  options: EventStoreConformanceOptions = {},
): readonly ConformanceCheck[] {
  const { wait = 1000, prefix = "conformance/" } = options;
  return Object.entries({ ...appendChecks, ...readChecks }).map(([name, check]) => ({
    name,
    run: async () => {
      const subject = await make();
      try {
        await check(new EventStoreTrial(subject, prefix, wait));
      } finally {
        await subject.close?.();
      }
    },
  }));
}
