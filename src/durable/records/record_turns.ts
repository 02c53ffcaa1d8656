import { KeyedTurns } from "../../internal/keyed_turns.ts";
import type { Clock } from "../../ports/runtime.ts";

/** Changes of one record in this process wait for each other instead of overtaking each other in the store. */
export class RecordTurns {
  readonly #clock: Clock;
  readonly #turns: KeyedTurns = new KeyedTurns();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get waiting(): number {
    return this.#turns.waiting;
  }

  async take(key: string, deadline: number, signal: AbortSignal | undefined): Promise<() => void> {
    if (!this.#turns.has(key)) return this.#turns.take(key);
    const over = new AbortController();
    const abort = (): void => over.abort();
    const stop = this.#clock.timer(deadline - this.#clock.mono(), abort);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    try {
      return await this.#turns.take(key, over.signal);
    } finally {
      stop();
      signal?.removeEventListener("abort", abort);
    }
  }
}
