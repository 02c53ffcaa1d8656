/** A member of a group in a process of its own: `queue_worker.ts URL CLUSTER JOURNAL NAME`. It works until it is killed. */

import { appendFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Delivery } from "@catga/catga/ports";
import { natsQueue } from "../../adapters/nats/queue.ts";
import { openLink } from "./support.ts";

const [url = "", cluster = "", journal = "", name = ""] = process.argv.slice(2);
const note = (line: string): void => appendFileSync(journal, `${line}\n`);

const queue = await natsQueue(await openLink(url, { cluster }), { bytes: 2 ** 26, ackWait: 700 });
await queue.subscribe("t", "g");
note(`ready ${name}`);

async function work(delivery: Delivery): Promise<void> {
  await delivery.extend(1000);
  note(`start ${delivery.id} ${delivery.attempt} ${name}`);
  await sleep(2);
  note(`end ${delivery.id} ${delivery.attempt} ${name}`);
  await delivery.ack();
}

for (;;) {
  try {
    const deliveries = await queue.pull("t", "g", { max: 16, lease: 1000, wait: 1000 });
    await Promise.allSettled(deliveries.map(work));
  } catch {
    await sleep(50);
  }
}
