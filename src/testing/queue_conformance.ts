import type { Queue } from "../ports/queue.ts";
import { inputChecks } from "./queue_input_checks.ts";
import { itemChecks } from "./queue_item_checks.ts";
import { leaseChecks } from "./queue_lease_checks.ts";
import { longChecks, roomChecks } from "./queue_limit_checks.ts";
import { modelChecks } from "./queue_model_checks.ts";
import { orderChecks } from "./queue_order_checks.ts";
import { QueueTrial } from "./queue_trial.ts";
import { waitChecks } from "./queue_wait_checks.ts";
import type { ConformanceCheck } from "./store_conformance.ts";

/** A queue to be looked at, without groups of the topics it is looked at with. */
export interface QueueUnderTest {
  /** The queue. */
  readonly queue: Queue;
  /** Another way to the same queue, such as another node's. @default the same one */
  readonly other?: Queue;
  /** Lets so many ms pass by the queue's clock; where time is real, it sleeps. */
  pass(ms: number): Promise<void>;
  /** Ends what was begun for it. */
  close?(): Promise<void>;
}

/** What {@linkcode queueConformance} takes. */
export interface QueueConformanceOptions {
  /** How long most leases of the checks last, in ms: longer where a queue is slow. @default 1000 */
  readonly lease?: number;
  /** What the topics of the checks begin with, for a queue that others use too. @default "conformance/" */
  readonly prefix?: string;
  /** Time passes at once, however much: long delays and the window are looked at too. @default false */
  readonly virtual?: boolean;
  /** Makes a queue that takes at most 100 items, to see how it refuses more; if left out, that is not looked at. */
  readonly small?: () => Promise<QueueUnderTest>;
}

/**
 * The checks that every queue has to pass, as data, for any test runner. Those of order are left out for a queue that
 * does not keep it.
 *
 * @param make makes what a check looks at, once for each
 *
 * @example
 * ```ts
 * import { memoryQueue } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 * import { queueConformance } from "@catga/catga/testing";
 *
 * const { clock } = systemRuntime();
 * const checks = queueConformance(() =>
 *   Promise.resolve({
 *     queue: memoryQueue({ clock }),
 *     pass: (ms) => new Promise((resolve) => void clock.timer(ms, resolve)),
 *   })
 * );
 * for (const { name, run } of checks.slice(0, 3)) await run().then(() => console.log("kept:", name));
 * ```
 */
export function queueConformance(
  make: () => Promise<QueueUnderTest>,
  options: QueueConformanceOptions = {},
): readonly ConformanceCheck[] {
  const { lease = 1000, prefix = "conformance/", virtual = false, small } = options;
  const checks = (
    all: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>>,
    make: () => Promise<QueueUnderTest>,
  ): ConformanceCheck[] =>
    Object.entries(all).map(([name, check]) => ({
      name,
      run: async () => {
        const subject = await make();
        const trial = new QueueTrial(subject, prefix, lease);
        try {
          if (all !== orderChecks || subject.queue.ordered) await check(trial);
        } finally {
          await trial.close().finally(() => subject.close?.());
        }
      },
    }));
  return [
    ...[itemChecks, inputChecks, leaseChecks, orderChecks, waitChecks, modelChecks].flatMap((all) =>
      checks(all, make)
    ),
    ...(virtual ? checks(longChecks, make) : []),
    ...(small === undefined ? [] : checks(roomChecks, small)),
  ];
}
