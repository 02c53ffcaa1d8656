import { sleep } from "../internal/sleep.ts";
import type { Clock } from "../ports/runtime.ts";

/**
 * Lets one delivery at a time be handled with no other of this node beside it. Those that come meanwhile wait, in the
 * order in which they came.
 */
export class Quarantine {
  readonly #clock: Pick<Clock, "timer">;
  #inside = 0;
  /** Somebody is alone, or about to be. */
  #closed = false;
  readonly #line: Set<() => void> = new Set();
  #emptied: () => void = () => {};

  constructor(clock: Pick<Clock, "timer">) {
    this.#clock = clock;
  }

  /** Keeps others from being alone, until `leave`; answers a promise only where it has to wait. Ends when aborted too. */
  enter(signal: AbortSignal): Promise<void> | undefined {
    if (this.#closed) return this.#enterLater(signal);
    this.#inside++;
    return undefined;
  }

  /** To be said once for each `enter`. */
  leave(): void {
    if (--this.#inside === 0) this.#emptied();
  }

  /**
   * Waits until nobody else is inside, but for those who take longer than so many ms; until `open` nobody comes in.
   * Answers whether that is so: not when aborted.
   */
  async close(signal: AbortSignal, patience: number): Promise<boolean> {
    while (this.#closed && !signal.aborted) await this.#turn(signal);
    if (signal.aborted) return false;
    this.#closed = true;
    if (this.#inside > 0) await this.#empty(signal, patience);
    if (!signal.aborted) return true;
    this.open();
    return false;
  }

  /** To be said once for each `close` that was answered with yes. */
  open(): void {
    this.#closed = false;
    for (const wake of [...this.#line]) wake();
  }

  async #enterLater(signal: AbortSignal): Promise<void> {
    while (this.#closed && !signal.aborted) await this.#turn(signal);
    this.#inside++;
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#line.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#line.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }

  async #empty(signal: AbortSignal, patience: number): Promise<void> {
    const over = new AbortController();
    const end = (): void => over.abort();
    this.#emptied = end;
    signal.addEventListener("abort", end, { once: true });
    await sleep(this.#clock, patience, over.signal);
    signal.removeEventListener("abort", end);
    this.#emptied = () => {};
  }
}
