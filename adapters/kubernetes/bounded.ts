import type { Clock } from "../../src/ports/runtime.ts";
import { trouble } from "./trouble.ts";

/**
 * Runs some work that is given up after so many ms or when a signal aborts: what it answers rejects then, whether or
 * not the work heeds the signal that it gets.
 *
 * @param what the work, for the message of the `CatgaError` with `TIMEOUT`
 */
export async function bounded<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  let give: (error: Error) => void = () => {};
  const given = new Promise<never>((_, reject) => give = reject);
  const abort = (): void => {
    give(trouble("CANCELLED", `Gave up ${what}: its signal aborted`));
    end.abort();
  };
  const stop = clock.timer(ms, () => {
    give(trouble("TIMEOUT", `Gave up ${what}: it took longer than ${ms} ms`));
    end.abort();
  });
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([given, signal.aborted ? given : work(end.signal)]);
  } finally {
    stop();
    signal.removeEventListener("abort", abort);
  }
}
