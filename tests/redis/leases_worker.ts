/**
 * A process that takes a lock again and again: `leases_worker.ts URL STORE NAME`. Under the lock it reads a counter of
 * the test's and writes it one higher, each time with the lease's token: `read TOKEN`, and `write TOKEN VALUE`, which the
 * test answers with a line.
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { acquireLease } from "@catga/catga/durable";
import { redisStore } from "../../adapters/redis/store.ts";
import { openCommander } from "./support.ts";

const [url = "", store = "", name = ""] = process.argv.slice(2);
const answers: ((line: string) => void)[] = [];
createInterface({ input: process.stdin }).on("line", (line: string) => answers.shift()?.(line));
const ask = (line: string): Promise<string> => {
  process.stdout.write(`${line}\n`);
  return new Promise((resolve) => answers.push(resolve));
};

const commander = openCommander(url);
const { runtime } = commander;
const locks = redisStore(commander, { name: store, polling: "fast" });
for (;;) {
  const lease = await acquireLease("locks/counter", { store: locks, runtime, owner: name, ttl: 500 });
  const seen = await ask(`read ${lease.token}`);
  // It does not look whether it still holds it: what it writes to does.
  if (seen !== "refused") await ask(`write ${lease.token} ${Number(seen) + 1}`);
  await lease.release();
  await sleep(5);
}
