import { CatgaError, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Change, Entry, Store } from "../ports/store.ts";

/** How long to wait after a watch has ended, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 2000;
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
  /** The watch broke off or `take` failed, and it will be begun again; or there are more entries than are followed. */
  failed?(cause: unknown): void;
}

/**
 * Follows all entries whose keys begin like this, until the signal aborts. Where the watch breaks off it is begun
 * again, and what has gone meanwhile is told as well. Never rejects.
 */
export async function follow(prefix: string, host: FollowHost): Promise<void> {
  const { store, runtime, signal } = host;
  const known = new Set<string>();
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      const unnamed = new Set(known);
      let crowded = false;
      for await (const change of store.watch(prefix, { signal })) {
        if (signal.aborted) return;
        failures = 0;
        if (change.type === "ready") {
          for (const key of unnamed) await take({ type: "delete", key, revision: 0 }, known, unnamed, host);
        } else if (change.type === "delete" || known.size < ENTRIES || known.has(change.entry.key)) {
          await take(change, known, unnamed, host);
        } else if (!crowded) {
          crowded = true;
          host.failed?.(tooMany(prefix));
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
  known.add(key);
  return host.take(key, change.entry);
}

function tooMany(prefix: string): CatgaError {
  const message = `Cannot follow all that begins with "${prefix}": it is more than ${ENTRIES} entries`;
  return new CatgaError(systemFault("OVERLOADED", message));
}
