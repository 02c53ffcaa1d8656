/** What a process does that fights for a lock. */

import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { acquireLease } from "@catga/catga/durable";
import type { Runtime, Store } from "@catga/catga/ports";

/** How long each lease lasts, in ms. */
export const TTL = 300;

/**
 * Takes the lock again and again, for ever. Under it it reads a counter of the test's and writes it one higher, each time
 * with the lease's token: `read TOKEN`, and `write TOKEN VALUE`, which the test answers with a line.
 */
export async function fightOn(store: Store, runtime: Runtime, owner: string): Promise<never> {
  const answers: ((line: string) => void)[] = [];
  createInterface({ input: process.stdin }).on("line", (line: string) => answers.shift()?.(line));
  const ask = (line: string): Promise<string> => {
    process.stdout.write(`${line}\n`);
    return new Promise((resolve) => answers.push(resolve));
  };
  for (;;) {
    const lease = await acquireLease("locks/counter", { store, runtime, owner, ttl: TTL });
    const seen = await ask(`read ${lease.token}`);
    await sleep(5);
    // It does not look whether it still holds it: what it writes to does.
    if (seen !== "refused") await ask(`write ${lease.token} ${Number(seen) + 1}`);
    await lease.release();
    await sleep(5);
  }
}
