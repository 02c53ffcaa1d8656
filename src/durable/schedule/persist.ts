import { CatgaError, systemFault } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import { askStore } from "../ask_store.ts";

/** What bounds {@linkcode persist}. */
export interface PersistOptions {
  readonly runtime: Pick<Runtime, "clock" | "random">;
  readonly signal: AbortSignal | undefined;
  /** Whether it helps to begin again when somebody was faster. */
  readonly conflicts?: boolean;
}

/** The longest that one try and all tries may take, in ms. */
const PATIENCE = 3000;
const TIMEOUT = 10_000;
/** How long to wait between two tries, in ms: twice as long each time, up to the second. */
const DELAY = 5;
const LONGEST = 500;

/** Repeats something that may be done twice, until the store answers. What it rejects with is true of all tries. */
export async function persist<T>(
  { runtime, signal, conflicts = false }: PersistOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, random } = runtime;
  const deadline = clock.mono() + TIMEOUT;
  let isUnknown = false;
  for (let tries = 1;; tries++) {
    try {
      return await askStore({ clock, limit: PATIENCE, signal }, work);
    } catch (thrown) {
      if (!CatgaError.is(thrown)) throw thrown;
      const { code, retryable } = thrown;
      const isLost = conflicts && code === "CONFLICT";
      if (!retryable && !isLost) throw thrown;
      isUnknown ||= code === "TRANSPORT";
      const delay = backoff(tries, DELAY, LONGEST, random.u32());
      if (clock.mono() + delay < deadline) await sleep(clock, delay, signal);
      else if (isUnknown) throw unknown(thrown);
      else if (isLost) {
        throw new CatgaError(systemFault("OVERLOADED", "Others were faster each time", undefined, thrown));
      } else throw thrown;
    }
  }
}

function unknown(cause: CatgaError): CatgaError {
  return new CatgaError(
    systemFault("TRANSPORT", "The store did not answer in time: it may be done", undefined, cause),
  );
}
