import { Ending } from "./ending.ts";
import { sleep, type Sleeper } from "./sleep.ts";

/** What comes of some work, if that is within so many ms. */
export async function within<T>(clock: Sleeper, work: Promise<T>, ms: number): Promise<T | undefined> {
  const done = new Ending();
  try {
    return await Promise.race([work, sleep(clock, ms, done) as Promise<undefined>]);
  } finally {
    done.end();
  }
}
