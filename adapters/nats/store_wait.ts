import { CatgaError, systemFault } from "../../src/result.ts";

/** Waits for work that goes on for others, until the signal aborts. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const cancel = (): void =>
      reject(new CatgaError(systemFault("CANCELLED", "Nobody waits any longer for the store")));
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
    work.finally(() => signal.removeEventListener("abort", cancel)).then(resolve, reject);
  });
}
