import type { QueueEntry, QueueGroup } from "../internal/queue_group.ts";
import type { Delivery } from "./queue.ts";
import { checkDelay, checkLease } from "./queue_faults.ts";
import type { TableQueue } from "./table_queue.ts";
import type { Frame } from "./transport.ts";

/** An item of a table in somebody's hands. */
export class TableDelivery implements Delivery {
  readonly id: string;
  readonly key: string | undefined;
  readonly payload: Frame;
  readonly attempt: number;
  readonly pushed: number;
  readonly #queue: TableQueue;
  readonly #group: QueueGroup;
  readonly #entry: QueueEntry;

  constructor(queue: TableQueue, group: QueueGroup, entry: QueueEntry) {
    const { id, key, payload, pushed } = entry.item;
    this.id = id;
    this.key = key;
    this.payload = typeof payload === "string" ? payload : new Uint8Array(payload);
    this.attempt = entry.attempt;
    this.pushed = pushed;
    this.#queue = queue;
    this.#group = group;
    this.#entry = entry;
  }

  ack(): Promise<void> {
    // Whatever was done with is so for all of its group.
    if (this.#entry.state === "done") return Promise.resolve();
    return this.#change("acknowledge", (now) => this.#queue.table.finish(this.#group, this.#entry, now));
  }

  retry(delay: number): Promise<void> {
    return this.#change("give back", (now) => {
      checkDelay(`give back "${this.id}"`, "delay", delay);
      this.#group.giveBack(this.#entry, now, delay);
    });
  }

  extend(lease: number): Promise<void> {
    return this.#change("hold", (now) => {
      checkLease(`hold "${this.id}"`, "lease", lease);
      this.#group.extend(this.#entry, now, lease);
    });
  }

  #change(verb: string, change: (now: number) => void): Promise<void> {
    try {
      this.#queue.change(this.#group, this.#entry, this.attempt, verb, change);
      return Promise.resolve();
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }
}
