import type { Queue } from "../../src/ports/queue.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { TableQueue } from "../../src/ports/table_queue.ts";

/** What {@linkcode memoryQueue} takes. */
export interface MemoryQueueOptions {
  /** The queue's clock: its monotonic side tells when delays and leases are over. */
  readonly clock: Clock;
  /** How many items it takes, counted once for each group that has them; over it `OVERLOADED`. @default 100000 */
  readonly items?: number;
  /** How large all of them may be, two bytes a character; over it `OVERLOADED`. @default 67108864 (64 MiB) */
  readonly bytes?: number;
  /** How many groups there may be; over it a subscription is refused with `OVERLOADED`. @default 10000 */
  readonly groups?: number;
  /** How many may wait for items at a time; over it a pull is refused with `OVERLOADED`. @default 10000 */
  readonly waits?: number;
  /** How long the name of an item is remembered, in ms. @default 86400000 (a day) */
  readonly window?: number;
  /** How many names are remembered; over it the oldest are forgotten before their time. @default 100000 */
  readonly names?: number;
}

/**
 * A queue in this process, for all who are given it. Nothing outlives the process.
 *
 * @example
 * ```ts
 * import { memoryQueue } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const queue = memoryQueue({ clock: systemRuntime().clock });
 * await queue.subscribe("orders", "billing");
 * await queue.push("orders", [{ id: "1", payload: "two apples" }]);
 * for (const delivery of await queue.pull("orders", "billing", { max: 10, lease: 30_000 })) {
 *   console.log(delivery.payload);
 *   await delivery.ack();
 * }
 * ```
 */
export function memoryQueue(options: MemoryQueueOptions): Queue {
  const { clock, items = 100_000, bytes = 64 * 2 ** 20, groups = 10_000, waits = 10_000 } = options;
  const { window = 86_400_000, names = 100_000 } = options;
  const limits = { items, bytes, groups, waits, window, names };
  for (const [name, limit] of Object.entries(limits)) {
    if (!(limit >= 1)) {
      throw new RangeError(`Cannot make a queue: ${name} is ${limit}, but must be 1 or more`);
    }
  }
  return new TableQueue(clock, limits);
}
