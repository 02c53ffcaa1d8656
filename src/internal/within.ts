import { sleep, type Sleeper } from "./sleep.ts";

/** Waits for something, but no longer than so many ms. */
export async function within(clock: Sleeper, work: Promise<void>, ms: number): Promise<void> {
  const done = new AbortController();
  await Promise.race([work, sleep(clock, ms, done.signal)]);
  done.abort();
}
