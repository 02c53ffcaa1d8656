import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Change, Entry, Store } from "../ports/store.ts";

/** How long to wait after a watch has ended, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 5000;
/** How many entries are followed at most. */
const ENTRIES = 65_536;

/** What {@linkcode follow} stands on. */
export interface FollowHost {
  readonly store: Store;
  readonly runtime: Runtime;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** What is kept under a key now; `undefined` when nothing is any longer. */
  take(key: string, entry: Entry | undefined): void | Promise<void>;
  /** The watch broke off, which will be begun again. */
  failed?(cause: unknown): void;
}

/**
 * Follows all entries whose keys begin like this, until the signal aborts. Where the watch breaks off it is begun
 * again, and what has gone meanwhile is told as well. Never rejects, unless `take` does.
 */
export async function follow(prefix: string, host: FollowHost): Promise<void> {
  const { store, runtime, signal } = host;
  const known = new Set<string>();
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      const unnamed = new Set(known);
      for await (const change of store.watch(prefix, { signal })) {
        if (signal.aborted) return;
        failures = 0;
        if (change.type !== "ready") await take(change, known, unnamed, host);
        else {
          for (const key of unnamed) await take({ type: "delete", key, revision: 0 }, known, unnamed, host);
        }
      }
    } catch (thrown) {
      host.failed?.(thrown);
    }
    await sleep(runtime.clock, backoff(failures, DELAY, LONGEST, runtime.random.u32()), signal);
  }
}

function take(
  change: Exclude<Change, { readonly type: "ready" }>,
  known: Set<string>,
  unnamed: Set<string>,
  host: FollowHost,
): void | Promise<void> {
  if (change.type === "delete") {
    known.delete(change.key);
    return host.take(change.key, undefined);
  }
  const { key } = change.entry;
  unnamed.delete(key);
  if (!known.has(key) && known.size >= ENTRIES) return;
  known.add(key);
  return host.take(key, change.entry);
}
