/**
 * A process that is killed: `queue_worker.ts URL JOURNAL produce|consume NAME`. A producer journals what was acknowledged
 * to it (`pushed ID`). A consumer adds each item to the record of its key, once, and journals when it is about to
 * acknowledge it (`end ID`). Both work until they are killed.
 */

import { appendFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { records } from "@catga/catga/durable";
import type { Delivery, QueueItem } from "@catga/catga/ports";
import { redis } from "@catga/catga/redis";
import { quiet, TOKEN } from "./support.ts";

/** What became of the items of a key: how many there were, the number of the last, and those that came before a smaller one. */
export interface Effect {
  readonly count: number;
  readonly last: number;
  readonly wrong: readonly string[];
}

export const [TOPIC, GROUP, EFFECTS] = ["items", "workers", "effects"] as const;
const LEASE = 1000;
const KEYS = 4;

if (import.meta.main) await main(process.argv.slice(2));

async function main([url = "", journal = "", role, name = ""]: readonly string[]): Promise<void> {
  const runtime = quiet();
  const { queue, store } = redis({ url, token: TOKEN }, { runtime, polling: "fast" });
  const note = (line: string): void => appendFileSync(journal, `${line}\n`);

  async function produce(): Promise<void> {
    for (let n = 0;;) {
      const items = Array.from({ length: 1 + n % 3 }, (): QueueItem => {
        const at = n++;
        return { id: `${name}/${at}`, key: `${name}/${at % KEYS}`, payload: "x".repeat(100) };
      });
      for (let kept = false; !kept;) {
        kept = await queue.push(TOPIC, items).then(() => true, () => sleep(20, false));
      }
      note(items.map(({ id }) => `pushed ${id}`).join("\n"));
      await sleep(5);
    }
  }

  const effects = records<Effect>(EFFECTS, { store, runtime });

  async function handle(delivery: Delivery): Promise<void> {
    const { id, key, attempt } = delivery;
    const n = Number(id.slice(id.indexOf("/") + 1));
    await effects.update(key!, ({ count, last, wrong } = { count: 0, last: -1, wrong: [] }) => ({
      count: count + 1,
      last: Math.max(last, n),
      wrong: n > last ? wrong : [...wrong, id],
    }), { context: { id, delivery: { group: GROUP, attempt } } });
    note(`end ${id}`);
    await delivery.ack();
  }

  async function consume(): Promise<void> {
    for (;;) {
      const taken = await queue.pull(TOPIC, GROUP, { max: 8, lease: LEASE, wait: 500 }).catch(() =>
        sleep(20, [])
      );
      await Promise.allSettled(taken.map(handle));
    }
  }

  process.stdout.write("ready\n");
  await (role === "produce" ? produce() : consume());
}
