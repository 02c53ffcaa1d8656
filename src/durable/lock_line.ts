import type { Ending } from "../internal/ending.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Lease } from "./lease.ts";

/** Those of one process who want one lock. One of them at a time asks the store; the others wait in order. */
export class LockLine {
  /** Whether one of them has the lock, asks for it or is about to. */
  taken: boolean = false;
  holder: Lease | undefined;
  /** Resolves when what was given back last has gone to the next. */
  back: Promise<void> | undefined;
  /** How many got their turn from the one before. */
  turns: number = 0;
  readonly #places: Set<() => void> = new Set();

  /** Whether anybody waits. */
  get waited(): boolean {
    return this.#places.size > 0;
  }

  /** Waits for its turn; rejects when it is too late or over, and then has no turn. */
  wait(
    clock: Pick<Clock, "timer">,
    timeout: number,
    over: Ending,
    late: () => Error,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        stop();
        this.#places.delete(go);
        over.removeEventListener("abort", abort);
      };
      const go = (): void => {
        leave();
        resolve();
      };
      const abort = (): void => {
        leave();
        reject(over.reason);
      };
      this.#places.add(go);
      over.addEventListener("abort", abort);
      const stop = timeout === Infinity ? () => {} : clock.timer(timeout, () => {
        const error = late();
        leave();
        reject(error);
      });
    });
  }

  /** Gives the turn to whoever has waited longest; answers whether there was one. */
  call(): boolean {
    const [go] = this.#places;
    go?.();
    return this.taken = go !== undefined;
  }
}
