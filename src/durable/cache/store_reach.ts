import { faultOf } from "../../result.ts";
import type { Runtime } from "../../ports/runtime.ts";

/** The store cannot be asked. */
export interface Down {
  readonly type: "down";
  readonly cause: unknown;
}

/** How often the store may fail in a row before it is left alone, and for how long, in ms. */
const FAILURES = 3;
const PAUSE = 1000;

/** Asks a store, and leaves it alone for a while when it fails again and again, so that nobody waits for it in vain. */
export class StoreReach {
  readonly #runtime: Runtime;
  readonly #namespace: string;
  readonly #failed: () => void;
  #failures = 0;
  #until = -Infinity;
  #cause: unknown;

  constructor(runtime: Runtime, namespace: string, failed: () => void) {
    this.#runtime = runtime;
    this.#namespace = namespace;
    this.#failed = failed;
  }

  /** Whether it is left alone just now. */
  get isDown(): boolean {
    return this.#runtime.clock.mono() < this.#until;
  }

  /** What the store answers. Rejects only with what it refuses for good. */
  async ask<T>(work: () => Promise<T>): Promise<T | Down> {
    if (this.isDown) return { type: "down", cause: this.#cause };
    try {
      const answer = await work();
      this.#failures = 0;
      return answer;
    } catch (thrown) {
      const { code, message, retryable } = faultOf(thrown);
      if (!retryable) throw thrown;
      this.#failed();
      this.#cause = thrown;
      if (++this.#failures >= FAILURES) this.#until = this.#runtime.clock.mono() + PAUSE;
      if (this.#failures === FAILURES) {
        this.#runtime.log({
          level: "warn",
          event: "cache.unreachable",
          message: `The cache "${this.#namespace}" cannot ask its store: ${message}`,
          fields: { namespace: this.#namespace, code },
        });
      }
      return { type: "down", cause: thrown };
    }
  }
}
