import type {
  Delivery,
  PullOptions,
  Queue,
  QueueBacklog,
  QueueItem,
  QueueOptions,
  SubscribeOptions,
} from "../ports/queue.ts";
import { queueCancelled } from "../ports/queue_faults.ts";
import type { FaultyWays } from "./faulty_ways.ts";
import type { Life } from "./life.ts";

/** One life of a node's way to a simulated queue. */
export class QueueClient implements Queue {
  readonly window: number;
  readonly ordered: boolean;
  readonly #server: Queue;
  readonly #ways: FaultyWays;
  readonly #life: Life;

  constructor(server: Queue, ways: FaultyWays, life: Life) {
    this.window = server.window;
    this.ordered = server.ordered;
    this.#server = server;
    this.#ways = ways;
    this.#life = life;
  }

  push(topic: string, items: readonly QueueItem[], { signal }: QueueOptions = {}): Promise<void> {
    const sent = items.map(copied);
    return this.#ask(`push ${idsOf(items)} to "${topic}"`, signal, () => this.#server.push(topic, sent));
  }

  subscribe(topic: string, group: string, { idle, signal }: SubscribeOptions = {}): Promise<void> {
    const what = `subscribe "${group}" to "${topic}"`;
    return this.#ask(what, signal, () => this.#server.subscribe(topic, group, { idle }));
  }

  unsubscribe(topic: string, group: string, { signal }: QueueOptions = {}): Promise<void> {
    const what = `unsubscribe "${group}" from "${topic}"`;
    return this.#ask(what, signal, () => this.#server.unsubscribe(topic, group));
  }

  async pull(topic: string, group: string, options: PullOptions): Promise<readonly Delivery[]> {
    const { signal, ...asked } = options;
    // What is given up is called off over the same ways.
    const over = new AbortController();
    const callOff = (): void => this.#ways.tell(this.#life, () => over.abort());
    signal?.addEventListener("abort", callOff, { once: true });
    try {
      const taken = await this.#ask(
        `pull "${group}" of "${topic}"`,
        signal,
        () => this.#server.pull(topic, group, { ...asked, signal: over.signal }),
      );
      return taken.map((delivery) => this.#carried(delivery));
    } finally {
      signal?.removeEventListener("abort", callOff);
    }
  }

  backlog(topic: string, group: string, { signal }: QueueOptions = {}): Promise<QueueBacklog> {
    const what = `look at "${group}" of "${topic}"`;
    return this.#ask(what, signal, () => this.#server.backlog(topic, group));
  }

  #carried(delivery: Delivery): Delivery {
    const { id, key, payload, attempt, pushed } = delivery;
    const ask = (verb: string, work: () => Promise<void>): Promise<void> =>
      this.#ask(`${verb} "${id}", attempt ${attempt}`, undefined, work);
    return {
      id,
      key,
      payload,
      attempt,
      pushed,
      ack: () => ask("acknowledge", () => delivery.ack()),
      retry: (delay) => ask("give back", () => delivery.retry(delay)),
      extend: (lease) => ask("hold", () => delivery.extend(lease)),
    };
  }

  #ask<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    // What is asked of a dead node is never answered.
    if (!this.#life.alive) return new Promise(() => {});
    if (signal?.aborted) return Promise.reject(queueCancelled(what));
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(queueCancelled(what));
      signal?.addEventListener("abort", abort, { once: true });
      this.#ways.request(this.#life, what, work)
        .finally(() => signal?.removeEventListener("abort", abort))
        .then(resolve, reject);
    });
  }
}

function copied(item: QueueItem): QueueItem {
  return typeof item.payload === "string" ? item : { ...item, payload: new Uint8Array(item.payload) };
}

function idsOf(items: readonly QueueItem[]): string {
  const ids = items.slice(0, 3).map(({ id }) => `"${id}"`).join(", ");
  return items.length > 3 ? `${ids} and ${items.length - 3} more` : ids;
}
