import type { Clock } from "../../src/ports/runtime.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import { Pace, type PollOptions } from "./queue_pace.ts";

/** How many may wait for events at a time. */
const WAITS = 10_000;

interface Waiter {
  readonly after: number;
  readonly end: (failure?: unknown) => void;
}

/** Lets many wait for the head to grow, and asks for it once for all of them. */
export class EventNews {
  readonly #clock: Pick<Clock, "mono" | "timer">;
  readonly #ask: () => Promise<number>;
  readonly #pace: Pace;
  readonly #waiters: Set<Waiter> = new Set();
  #head = 0;
  #stop: (() => void) | undefined;
  #asking = false;

  /** @param ask looks for the head */
  constructor(clock: Pick<Clock, "mono" | "timer">, poll: PollOptions, ask: () => Promise<number>) {
    this.#clock = clock;
    this.#ask = ask;
    this.#pace = new Pace(clock, poll);
  }

  /** The head was seen there. */
  seen(head: number): void {
    if (head <= this.#head) return;
    this.#head = head;
    this.#pace.hurry();
    for (const waiter of this.#waiters) if (waiter.after < head) waiter.end();
    this.#plan();
  }

  /** Waits until the head is after a position, or the time is over. */
  wait(after: number, ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(storeCancelled("wait for events"));
    if (this.#head > after || ms === 0) return Promise.resolve();
    if (this.#waiters.size >= WAITS) {
      const message = `Cannot wait for events: ${WAITS} wait already, as many as may`;
      return Promise.reject(new CatgaError(systemFault("OVERLOADED", message)));
    }
    return new Promise((resolve, reject) => {
      const abort = (): void => waiter.end(storeCancelled("wait for events"));
      const waiter: Waiter = {
        after,
        end: (failure) => {
          stop();
          signal?.removeEventListener("abort", abort);
          this.#waiters.delete(waiter);
          if (this.#waiters.size === 0) this.#rest();
          if (failure === undefined) resolve();
          else reject(failure);
        },
      };
      const stop = this.#clock.timer(ms, () => waiter.end());
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiters.add(waiter);
      this.#plan();
    });
  }

  #plan(): void {
    this.#rest();
    if (this.#asking || this.#waiters.size === 0) return;
    this.#stop = this.#clock.timer(this.#pace.left, () => void this.#look());
  }

  async #look(): Promise<void> {
    this.#asking = true;
    this.#pace.rest(1);
    try {
      this.seen(await this.#ask());
    } catch (thrown) {
      for (const waiter of this.#waiters) waiter.end(thrown);
    } finally {
      this.#asking = false;
      this.#plan();
    }
  }

  #rest(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
