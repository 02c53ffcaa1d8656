import { sleep } from "../internal/sleep.ts";
import type { Clock } from "../ports/runtime.ts";

/** How long no call may be under way before a node counts as drained, and how often it is looked at, in ms. */
const QUIET = 100;
const LOOK = 20;

/**
 * Waits until no call has been under way for a while, but no longer than until `end`: a call that was sent before its
 * sender took note may still be on its way in.
 */
export async function drained(clock: Clock, load: () => number, end: number): Promise<void> {
  for (let quiet = 0; quiet < QUIET && clock.mono() < end; quiet = load() > 0 ? 0 : quiet + LOOK) {
    await sleep(clock, LOOK);
  }
}
