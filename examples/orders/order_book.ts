import type { Order } from "./contracts.ts";

const KEPT = 10_000;
const WAITING = 1000;

/** The latest orders that a node has heard of, in its memory alone. */
export class OrderBook {
  readonly #orders: Map<string, Order> = new Map();
  readonly #hearers: Set<(order: Order | undefined) => void> = new Set();
  #closed = false;

  add(order: Order): void {
    this.#orders.set(order.orderId, order);
    if (this.#orders.size > KEPT) this.#orders.delete(this.#orders.keys().next().value!);
    for (const hear of this.#hearers) hear(order);
  }

  /** The latest ones, the last one first. */
  latest(count: number): Order[] {
    return [...this.#orders.values()].slice(-count).reverse();
  }

  /** Orders from now on, until the signal aborts or the book is closed; a slow reader misses the oldest. */
  async *watch(signal: AbortSignal): AsyncGenerator<Order> {
    const waiting: Order[] = [];
    let wake = (): void => {};
    const hear = (order: Order | undefined): void => {
      if (order !== undefined) waiting.push(order);
      if (waiting.length > WAITING) waiting.shift();
      wake();
    };
    const gone = (): void => wake();
    this.#hearers.add(hear);
    signal.addEventListener("abort", gone, { once: true });
    try {
      while (!signal.aborted && !this.#closed) {
        const order = waiting.shift();
        if (order !== undefined) yield order;
        else await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      this.#hearers.delete(hear);
      signal.removeEventListener("abort", gone);
    }
  }

  /** Ends all that watch. */
  close(): void {
    this.#closed = true;
    for (const hear of this.#hearers) hear(undefined);
  }
}
