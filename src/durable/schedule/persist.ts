import { CatgaError, systemFault } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import { askStore } from "../ask_store.ts";

/** What bounds {@linkcode persist}. */
export interface PersistOptions {
  readonly runtime: Runtime;
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

/** Repeats something that may be done twice, until the store answers. */
export async function persist<T>(
  { runtime, signal, conflicts = false }: PersistOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, random } = runtime;
  const deadline = clock.mono() + TIMEOUT;
  for (let tries = 1;; tries++) {
    try {
      return await askStore({ clock, limit: PATIENCE, signal }, work);
    } catch (thrown) {
      const lost = CatgaError.is(thrown) && thrown.code === "CONFLICT";
      const delay = backoff(tries, DELAY, LONGEST, random.u32());
      const mayHeal = CatgaError.is(thrown) && (thrown.retryable || (lost && conflicts));
      if (!mayHeal) throw thrown;
      if (clock.mono() + delay < deadline) await sleep(clock, delay, signal);
      else if (!lost) throw thrown;
      else throw new CatgaError(systemFault("OVERLOADED", "Others were faster each time", undefined, thrown));
    }
  }
}
