import type { Discovery } from "../ports/discovery.ts";
import type { Runtime } from "../ports/runtime.ts";
import { changeChecks, openChecks } from "./discovery_checks.ts";
import { DiscoveryTrial } from "./discovery_trial.ts";
import type { ConformanceCheck } from "./store_conformance.ts";

/** How looks end: they find what there is, they fail, or they get no answer. */
export type LookOutcome = "found" | "failed" | "silent";

/** A discovery to be looked at, and what it asks. */
export interface DiscoveryUnderTest {
  /** The discovery. */
  readonly discovery: Discovery;
  /** What it is opened with. */
  readonly runtime: Runtime;
  /** The endpoint of a node, by its number from 1 to 2,000. */
  endpointOf(node: number): string;
  /** Has exactly these nodes found from now on; they may hold one twice. */
  list?(nodes: readonly number[]): void;
  /** Decides how looks end from now on, also one that goes on. */
  look?(outcome: LookOutcome): void;
  /** Lets so many ms pass by the discovery's clock; where time is real, it sleeps. */
  pass(ms: number): Promise<void>;
  /** Ends what was begun for it. */
  close?(): Promise<void>;
}

/** What {@linkcode discoveryConformance} takes. */
export interface DiscoveryConformanceOptions {
  /** How long a discovery may take to see a change or to fail, and how long it is watched, in ms. @default 1000 */
  readonly refresh?: number;
  /**
   * It finds what it is made with, at once and for good: neither `list` nor `look` is needed, and nothing is looked at
   * that needs them.
   * @default false
   */
  readonly fixed?: boolean;
}

/**
 * The checks that every discovery has to pass, as data, for any test runner.
 *
 * @param make makes what a check looks at, once for each, with the nodes that are there to be found at first
 *
 * @example
 * ```ts
 * import type { Discovery } from "@catga/catga/ports";
 * import { systemRuntime } from "@catga/catga/ports";
 * import { discoveryConformance } from "@catga/catga/testing";
 *
 * const runtime = systemRuntime();
 * const endpointOf = (node: number): string => `http://127.0.0.1:${5000 + node}`;
 * const listed = (endpoints: readonly string[]): Discovery => ({
 *   name: "a list",
 *   open: () => ({
 *     endpoints: () => endpoints,
 *     ready: Promise.resolve(),
 *     failures: 0,
 *     [Symbol.asyncDispose]: () => Promise.resolve(),
 *   }),
 * });
 * const checks = discoveryConformance((nodes) =>
 *   Promise.resolve({
 *     discovery: listed(nodes.map(endpointOf)),
 *     runtime,
 *     endpointOf,
 *     pass: (ms) => new Promise((resolve) => void runtime.clock.timer(ms, resolve)),
 *   }), { fixed: true, refresh: 10 });
 * for (const { name, run } of checks) await run().then(() => console.log("kept:", name));
 * ```
 */
export function discoveryConformance(
  make: (nodes: readonly number[]) => Promise<DiscoveryUnderTest>,
  options: DiscoveryConformanceOptions = {},
): readonly ConformanceCheck[] {
  const { refresh = 1000, fixed = false } = options;
  return Object.entries(fixed ? openChecks : { ...openChecks, ...changeChecks }).map(([name, check]) => ({
    name,
    run: async () => {
      const subject = await make([1, 2, 3]);
      const trial = new DiscoveryTrial(subject, refresh);
      const close = (): Promise<void> => trial.close().finally(() => subject.close?.());
      try {
        await check(trial);
      } catch (thrown) {
        await close().catch(() => {});
        throw thrown;
      }
      await close();
    },
  }));
}
