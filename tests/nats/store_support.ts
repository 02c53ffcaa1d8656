/** Stores on NATS for tests, with clocks that are wrong. */

import { setTimeout as sleep } from "node:timers/promises";
import { type LogEntry, type Runtime, systemRuntime } from "@catga/catga/ports";
import { type NatsStore, natsStore, type NatsStoreOptions } from "../../adapters/nats/store.ts";
import type { NatsServer } from "./server.ts";
import { openLink, type TestLink } from "./support.ts";

const HOUR = 3_600_000;
let clusters = 0;

export interface StoreNode {
  readonly store: NatsStore;
  readonly link: TestLink;
  readonly logs: readonly LogEntry[];
}

/** Stores of one cluster, each with a connection of its own; disposing them ends all. */
export interface Stores extends AsyncDisposable {
  readonly cluster: string;
  open(options?: NatsStoreOptions): Promise<StoreNode>;
}

/** The system's runtime, whose date is so many hours off. */
export function skewed(hours: number, logs: LogEntry[] = []): Runtime {
  const runtime = systemRuntime({ log: (entry) => void logs.push(entry) });
  const { clock } = runtime;
  return { ...runtime, clock: { ...clock, wall: () => clock.wall() + hours * HOUR } };
}

/** Every second one has a clock that is an hour fast, the others one that is an hour slow. */
export function storesOn(server: NatsServer): Stores {
  const cluster = `c${clusters++}`;
  const opened: StoreNode[] = [];
  return {
    cluster,
    open: async (options = {}) => {
      const logs: LogEntry[] = [];
      const runtime = skewed(opened.length % 2 === 0 ? 1 : -1, logs);
      const link = await openLink(server.ws, { cluster, runtime });
      // A link that nobody closes looks for its server for ever, and Node does not end.
      const store = await natsStore(link, { bytes: 2 ** 27, ...options }).catch(async (thrown) => {
        await link[Symbol.asyncDispose]();
        throw thrown;
      });
      const node = { store, link, logs };
      opened.push(node);
      return node;
    },
    [Symbol.asyncDispose]: async () => {
      for (const { store } of opened) await store[Symbol.asyncDispose]();
      for (const { link } of opened) await link[Symbol.asyncDispose]();
    },
  };
}

/** What a promise fails with; `undefined` if it does not. */
export async function failureOf(work: Promise<unknown>): Promise<string | undefined> {
  return await work.then(() => undefined, (error: { readonly code?: string }) => error.code ?? String(error));
}

/** Waits until something is so; fails after ten seconds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; looks < 1000; looks++) {
    if (await holds()) return;
    await sleep(10);
  }
  throw new Error(`Expected, but did not happen: ${what}`);
}

/** Tries until it goes well; fails after ten seconds. */
export async function eventually<T>(what: string, work: () => Promise<T>): Promise<T> {
  let failed: unknown;
  for (let tries = 0; tries < 200; tries++) {
    try {
      return await work();
    } catch (thrown) {
      failed = thrown;
      await sleep(50);
    }
  }
  throw new Error(`Expected, but did not happen: ${what}`, { cause: failed });
}
