import type { QueueItem } from "../ports/queue.ts";
import { PushBatch, type PushHost } from "./push_batch.ts";
import { type Pushed, waitFor } from "./push_waiting.ts";

/** What bounds putting one item into a queue. */
export interface PushLimits {
  /** When to give up, by the runtime's `clock.mono()`, in ms. */
  readonly deadline: number;
  /** Each of them gives up at once. */
  readonly signals: readonly AbortSignal[];
}

/**
 * Puts an item into a queue, again and again until it has it: it knows it by its id. Never rejects; a failure that is a
 * `TIMEOUT` or `CANCELLED` may have stored it.
 */
export function push(
  host: PushHost,
  topic: string,
  item: QueueItem,
  { deadline, signals }: PushLimits,
): Promise<Pushed> {
  return new Promise((resolve) => {
    const waiting = waitFor(topic, item, deadline, signals, resolve);
    if (!waiting.isOver) new PushBatch(host, topic, [waiting]).start();
  });
}
