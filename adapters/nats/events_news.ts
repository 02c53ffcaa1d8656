import type { Subscription } from "@nats-io/nats-core";
import { CatgaError, systemFault } from "../../src/result.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";
import { PLACES } from "./events_format.ts";
import type { Link } from "./link.ts";

/** How many may wait for events at a time. */
const WAITS = 4096;
/** How long word of an event may be lost before somebody looks, in ms. */
const LOOK = 1000;

/** Wakes those who wait for events: the server tells of each that it has stored, without its data. */
export class EventNews {
  readonly #link: Link;
  readonly #subject: string;
  readonly #waits: Set<(seq: number) => void> = new Set();
  #subscription: Subscription | undefined;

  /** @param subject what the server tells begins with this */
  constructor(link: Link, subject: string) {
    this.#link = link;
    this.#subject = subject;
  }

  /** Waits until the head is after a position, or so many ms; rejects with what asking for the head rejects with. */
  async wait(after: number, ms: number, signal: AbortSignal | undefined, head: Head): Promise<void> {
    const { clock } = this.#link.runtime;
    const until = clock.mono() + ms;
    if (this.#waits.size >= WAITS) {
      const message = `Cannot wait for events: ${WAITS} wait already, as many as may`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    const take = (seq: number): void => void (seq * PLACES > after && wake());
    this.#waits.add(take);
    signal?.addEventListener("abort", wake, { once: true });
    try {
      this.#listen();
      // Asked after it listens: what came before is seen, what comes later is told.
      while (await head(signal) <= after) {
        const left = until - clock.mono();
        if (left <= 0 || woken.signal.aborted) return;
        await sleep(clock, Math.min(left, LOOK), woken.signal);
        if (signal?.aborted) throw storeCancelled("wait for events");
      }
    } finally {
      this.#waits.delete(take);
      signal?.removeEventListener("abort", wake);
    }
  }

  close(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
  }

  #listen(): void {
    if (this.#subscription !== undefined) return;
    const subscription = this.#link.connection.subscribe(`${this.#subject}.>`, {
      callback: (error, { headers }) => {
        if (error !== null) {
          if (this.#subscription === subscription) this.#subscription = undefined;
          return;
        }
        const seq = Number(headers?.get("Nats-Sequence"));
        if (Number.isSafeInteger(seq)) { for (const take of [...this.#waits]) take(seq); }
      },
    });
    this.#subscription = subscription;
  }
}

type Head = (signal: AbortSignal | undefined) => Promise<number>;
