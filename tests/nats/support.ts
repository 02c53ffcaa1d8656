/** Links to servers, for tests of what stands on them. */

import { CatgaError } from "@catga/catga";
import { type LogEntry, type Runtime, systemRuntime } from "@catga/catga/ports";
import { type OpenLink, openLink as connect } from "../../adapters/nats/connection.ts";
import type { NatsOptions } from "../../adapters/nats/connection_options.ts";

/** A link, and what it has logged. */
export interface TestLink extends OpenLink {
  readonly logs: readonly LogEntry[];
}

/** Connects by WebSocket: give `server.ws`. Logs go into `logs`. */
export async function openLink(url: string, options: NatsOptions = {}): Promise<TestLink> {
  const logs: LogEntry[] = [];
  const runtime = options.runtime ?? systemRuntime({ log: (entry) => void logs.push(entry) });
  const link = await connect(url, { reconnectWait: 50, ...options, runtime });
  return Object.defineProperty(link, "logs", { value: logs }) as TestLink;
}

/** The code of the `CatgaError` that a function throws; the error itself where it is none. */
export function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (thrown) {
    return CatgaError.is(thrown) ? thrown.code : thrown;
  }
  return undefined;
}

/** The code of the `CatgaError` that something rejects with. */
export function failed(work: PromiseLike<unknown>): Promise<unknown> {
  return Promise.resolve(work).then(() => "ok", (thrown) => CatgaError.is(thrown) ? thrown.code : thrown);
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until something holds; fails after a while. */
export async function until(holds: () => boolean, ms = 10_000): Promise<void> {
  for (let waited = 0; !holds(); waited += 10) {
    if (waited > ms) throw new Error("waited too long");
    await sleep(10);
  }
}

/** The real runtime, with timers so many times as fast. */
export function hurried(times: number): Runtime {
  const runtime = systemRuntime({ log: () => {} });
  const { clock } = runtime;
  return { ...runtime, clock: { ...clock, timer: (ms, run) => clock.timer(ms / times, run) } };
}
