import type { Store } from "../ports/store.ts";
import { StoreTrial } from "./store_trial.ts";
import { entryChecks } from "./store_checks.ts";
import { watchChecks } from "./store_watch_checks.ts";

/** One thing that a backend is held to. */
export interface ConformanceCheck {
  /** What is promised. */
  readonly name: string;
  /** Rejects when it is not kept. */
  run(): Promise<void>;
}

/** A store to be looked at, empty under the prefix it is looked at with. */
export interface StoreUnderTest {
  /** The store. */
  readonly store: Store;
  /** Another way to the same store, such as another node's. @default the same one */
  readonly other?: Store;
  /** Lets so many ms pass by the store's clock; where time is real, it sleeps. */
  pass(ms: number): Promise<void>;
  /** Ends what was begun for it. */
  close?(): Promise<void>;
}

/** What {@linkcode storeConformance} takes. */
export interface ConformanceOptions {
  /** How long the entries of the checks stay, in ms: longer where a store is slow or counts seconds. @default 1000 */
  readonly ttl?: number;
  /** What the keys of the checks begin with, for a store that others use too. @default "conformance/" */
  readonly prefix?: string;
}

/**
 * The checks that every store has to pass, as data, for any test runner.
 *
 * @param make makes what a check looks at, once for each
 *
 * @example
 * ```ts
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 * import { storeConformance } from "@catga/catga/testing";
 *
 * const { clock } = systemRuntime();
 * const checks = storeConformance(() =>
 *   Promise.resolve({
 *     store: memoryStore({ clock }),
 *     pass: (ms) => new Promise((resolve) => void clock.timer(ms, resolve)),
 *   })
 * );
 * for (const { name, run } of checks.slice(0, 3)) await run().then(() => console.log("kept:", name));
 * ```
 */
export function storeConformance(
  make: () => Promise<StoreUnderTest>,
  options: ConformanceOptions = {},
): readonly ConformanceCheck[] {
  const { ttl = 1000, prefix = "conformance/" } = options;
  return Object.entries({ ...entryChecks, ...watchChecks }).map(([name, check]) => ({
    name,
    run: async () => {
      const subject = await make();
      const trial = new StoreTrial(subject, prefix, ttl);
      try {
        await check(trial);
      } finally {
        trial.close();
        await subject.close?.();
      }
    },
  }));
}
