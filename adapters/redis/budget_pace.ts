import { backoff } from "../../src/internal/backoff.ts";
import { sleep } from "../../src/internal/sleep.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import { CatgaError } from "../../src/result.ts";
import type { CommandBudget } from "./budget.ts";

/** What one who looks again and again keeps to. */
export interface PaceOptions {
  /** How long to wait after a look that found something, in ms. */
  readonly eager: number;
  /** How long to wait at most, in ms, however small the budget is. */
  readonly idle: number;
  readonly budget: CommandBudget;
}

/** When to look again: soon after a change, more and more rarely after that, and at once when woken. */
export class Pace {
  readonly #runtime: Pick<Runtime, "clock" | "random">;
  readonly #options: PaceOptions;
  #wait: number;
  #failures = 0;
  #asked = 0;
  #woken = false;
  #stir: (() => void) | undefined;

  constructor(runtime: Pick<Runtime, "clock" | "random">, options: PaceOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#wait = options.eager;
  }

  /** How many looks failed in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** Notes how a look went. */
  looked(found: boolean): void {
    const { eager, idle } = this.#options;
    this.#failures = this.#asked = 0;
    this.#wait = found ? eager : Math.min(this.#wait * 2, idle);
  }

  /** Notes that a look failed. */
  failed(thrown: unknown): void {
    this.#failures++;
    const data = CatgaError.is(thrown)
      ? thrown.data as { readonly retryAfter?: number } | undefined
      : undefined;
    this.#asked = data?.retryAfter ?? 0;
  }

  /** Ends a rest, or keeps the next from beginning. */
  wake(): void {
    this.#woken = true;
    this.#stir?.();
  }

  /** Has a rest look again when something is known to change. */
  nudge(): void {
    this.#stir?.();
  }

  /**
   * Waits until it is time to look, and takes a command for it.
   *
   * @param due in how many ms something is known to change
   */
  async rest(signal: AbortSignal, due: () => number): Promise<void> {
    const { clock } = this.#runtime;
    const { budget, idle } = this.#options;
    const began = clock.mono();
    const [earliest, latest] = [began + this.#asked, began + Math.max(idle, this.#asked)];
    const next = began + this.#next();
    while (!this.#woken && !signal.aborted) {
      const now = clock.mono();
      const wait = Math.max(Math.min(next, now + due()), earliest) - now;
      if (wait > 0) {
        await this.#sleep(wait, signal);
        continue;
      }
      const ms = now < latest ? budget.take() : (budget.spend(), 0);
      if (ms === 0) return;
      await this.#sleep(Math.min(ms, latest - now), signal);
    }
    this.#woken = false;
    if (!signal.aborted) budget.spend();
  }

  #next(): number {
    if (this.#failures === 0) return this.#wait;
    const { eager, idle } = this.#options;
    return Math.max(
      eager / 2 + backoff(this.#failures, eager, idle, this.#runtime.random.u32()),
      this.#asked,
    );
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const end = (): void => over.abort();
    this.#stir = end;
    signal.addEventListener("abort", end, { once: true });
    await sleep(this.#runtime.clock, ms, over.signal);
    signal.removeEventListener("abort", end);
    this.#stir = undefined;
  }
}
