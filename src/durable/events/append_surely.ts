import { CatgaError, faultOf, systemFault } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Appended } from "../../ports/event_store.ts";
import type { Runtime } from "../../ports/runtime.ts";

/** How often an append is asked for whose outcome is not known, or for which there was no room or no way. */
const TRIES = 5;
/** How long to wait at most before the second time, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 2000;

/**
 * Appends, and asks again while the answer is missing: the store knows the events by their ids. Rejects with
 * `TRANSPORT` or `CANCELLED` once it may have happened, also when later tries were refused.
 */
export async function appendSurely(
  { clock, random }: Pick<Runtime, "clock" | "random">,
  signal: AbortSignal | undefined,
  append: () => Promise<Appended>,
): Promise<Appended> {
  let unknown: unknown;
  for (let tries = 1;; tries++) {
    try {
      return await append();
    } catch (thrown) {
      const { code, retryable } = faultOf(thrown);
      // Whoever finds another version, or something else under these ids, knows that it did not happen.
      if (!retryable) {
        if (unknown !== undefined && code !== "CONFLICT") throw unsettled(unknown, code);
        throw thrown;
      }
      if (code !== "UNAVAILABLE" && code !== "OVERLOADED") unknown = thrown;
      if (tries >= TRIES || signal?.aborted) throw unknown === undefined ? thrown : unsettled(unknown, code);
      await sleep(clock, backoff(tries, DELAY, LONGEST, random.u32()), signal);
    }
  }
}

function unsettled(unknown: unknown, code: string): CatgaError {
  const { message } = faultOf(unknown);
  const last = code === "CANCELLED" ? "CANCELLED" : "TRANSPORT";
  return new CatgaError(systemFault(last, `It may have happened: ${message}`, undefined, unknown));
}
