/** Queues on a server, for tests. */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Queue } from "@catga/catga/ports";
import { natsQueue } from "../../adapters/nats/queue.ts";
import type { NatsQueueOptions } from "../../adapters/nats/queue_options.ts";
import type { NatsOptions } from "../../adapters/nats/connection_options.ts";
import { openLink, type TestLink } from "./support.ts";

/** Queues of one cluster, each with a connection of its own; disposing closes all. */
export interface Queues extends AsyncDisposable {
  readonly cluster: string;
  open(options?: NatsQueueOptions, connection?: NatsOptions): Promise<OpenedQueue>;
}

export interface OpenedQueue {
  readonly queue: Queue & AsyncDisposable;
  readonly link: TestLink;
}

export function queuesOn(url: string, cluster: string): Queues {
  const opened: OpenedQueue[] = [];
  return {
    cluster,
    open: async (options, connection) => {
      const link = await openLink(url, { cluster, ...connection });
      const queue = await natsQueue(link, { bytes: 2 ** 26, ...options }).catch(async (thrown) => {
        await link[Symbol.asyncDispose]();
        throw thrown;
      });
      opened.push({ queue, link });
      return { queue, link };
    },
    [Symbol.asyncDispose]: async () => {
      for (const { queue, link } of opened) {
        await queue[Symbol.asyncDispose]();
        await link[Symbol.asyncDispose]();
      }
    },
  };
}

/** Does something again until it goes well, or fails for good. */
export async function persist(work: () => Promise<void>, tries = 400): Promise<void> {
  for (let failures = 1;; failures++) {
    try {
      return await work();
    } catch (thrown) {
      const { retryable = false } = thrown as { readonly retryable?: boolean };
      if (!retryable || failures >= tries) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Takes and acknowledges all that comes, until that is enough; what was handled, in order. */
export async function takeUntil(
  queue: Queue,
  topic: string,
  group: string,
  enough: (ids: readonly string[]) => boolean,
): Promise<string[]> {
  const ids: string[] = [];
  const seen: Set<string> = new Set();
  while (!enough(ids)) {
    await persist(async () => {
      for (const delivery of await queue.pull(topic, group, { max: 64, lease: 30_000, wait: 500 })) {
        await persist(() => delivery.ack()).catch(() => {});
        if (!seen.has(delivery.id)) ids.push(delivery.id);
        seen.add(delivery.id);
      }
    });
  }
  return ids;
}

const worker = fileURLToPath(new URL("./queue_worker.ts", import.meta.url));

/** A process of this runtime that runs `queue_worker.ts`. */
export function runWorker(...args: readonly string[]): ChildProcess {
  const loaders = process.execArgv.filter((arg, at, all) =>
    arg.startsWith("--import") || all[at - 1] === "--import"
  );
  const flags = "Deno" in globalThis ? ["run", "-A", "--no-check"] : loaders;
  return spawn(process.execPath, [...flags, worker, ...args], { stdio: ["ignore", "ignore", "inherit"] });
}
