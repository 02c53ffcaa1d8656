import type { EndSignal } from "./ending.ts";

/** The part of a clock that sleeping needs. */
export interface Sleeper {
  timer(ms: number, run: () => void): () => void;
}

/** Waits so many ms, or less if the signal aborts. Never rejects. */
export function sleep(clock: Sleeper, ms: number, signal?: EndSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const wake = (): void => {
      stop();
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const stop = clock.timer(ms, wake);
    signal?.addEventListener("abort", wake, { once: true });
  });
}
