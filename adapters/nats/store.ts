import { CatgaError, systemFault } from "../../src/result.ts";
import type {
  Change,
  DeleteOptions,
  Entry,
  GetOptions,
  ListOptions,
  PutOptions,
  Store,
  WatchOptions,
} from "../../src/ports/store.ts";
import {
  checkAfter,
  checkKey,
  checkLimit,
  checkPut,
  revisionConflict,
  storeCancelled,
} from "../../src/ports/store_faults.ts";
import { byCodePoint } from "../../src/internal/by_code_point.ts";
import type { Link } from "./link.ts";
import { StoreEntries } from "./store_entries.ts";
import { listKept } from "./store_list.ts";
import { goneOf, type Kept, keyOf, textOf } from "./store_message.ts";
import type { Outcome } from "./store_stream.ts";
import { StoreSweep } from "./store_sweep.ts";
import { StoreWatches } from "./store_watch.ts";

/** How often a write is tried while others write over the same key. */
const TRIES = 64;

/** What {@linkcode natsStore} takes. */
export interface NatsStoreOptions {
  /** How many entries it takes; over it writes are refused with `OVERLOADED`. @default 1000000 */
  readonly keys?: number;
  /** How many bytes all of it may take up on a server. @default 1073741824 (1 GiB) */
  readonly bytes?: number;
  /** How many may watch at a time on this connection; over it a watch is refused with `OVERLOADED`. @default 4096 */
  readonly watches?: number;
  /** How often one of all connections takes away what nobody needs any longer, in ms. @default 60000 */
  readonly sweep?: number;
}

/** A store on NATS. Disposing it ends its watches and leaves what it keeps. */
export interface NatsStore extends Store, AsyncDisposable {}

/**
 * A store for all who are connected to the same servers under the same cluster name. Times to live go by the server's
 * clock, whatever that of this machine shows.
 *
 * Rejects with a `CatgaError`: `UNAVAILABLE` where no server with JetStream answers, `CONFLICT` when another stream takes
 * its subjects.
 */
export async function natsStore(link: Link, options: NatsStoreOptions = {}): Promise<NatsStore> {
  const { keys = 1_000_000, bytes = 2 ** 30, watches = 4096, sweep = 60_000 } = options;
  for (const [name, limit] of Object.entries({ keys, bytes, watches, sweep })) {
    if (!(limit >= 1)) {
      throw new RangeError(`Cannot make a store: ${name} is ${limit}, but must be 1 or more`);
    }
  }
  if (link.jetstream === undefined) {
    const message = "Cannot keep anything on NATS: the server has no JetStream. Start it with -js";
    throw new CatgaError(systemFault("UNAVAILABLE", message));
  }
  const entries = new StoreEntries(link, { keys, bytes });
  try {
    await entries.begin();
  } catch (thrown) {
    entries.stream.close();
    throw thrown;
  }
  return new JetStreamStore(entries, watches, sweep);
}

class JetStreamStore implements NatsStore {
  readonly durability = "process" as const;
  readonly #entries: StoreEntries;
  readonly #watches: StoreWatches;
  readonly #sweep: StoreSweep;

  constructor(entries: StoreEntries, watches: number, sweep: number) {
    this.#entries = entries;
    this.#watches = new StoreWatches(entries, watches);
    this.#sweep = new StoreSweep(entries, sweep);
  }

  async get(key: string, { signal }: GetOptions = {}): Promise<Entry | undefined> {
    checkKey(key);
    if (signal?.aborted) throw storeCancelled(`get "${key}"`);
    const entries = this.#entries;
    const subject = await entries.names.subject(key);
    for (let tries = 0; tries < TRIES; tries++) {
      const kept = await entries.read(subject, signal);
      if (kept?.mark?.kind !== "put") return undefined;
      const value = await entries.live(kept, signal) ? textOf(kept) : undefined;
      if (value !== undefined) return { key, value, revision: kept.sequence };
      // It is gone for all when it is gone for one.
      if (await entries.write(subject, goneOf(kept), "", kept.sequence, signal) !== "stale") return undefined;
      await entries.rest(tries, signal);
    }
    throw contended(`get "${key}"`);
  }

  async put(key: string, value: string, options: PutOptions = {}): Promise<number> {
    const { expected, ttl, signal } = options;
    const what = `put "${key}"`;
    checkPut(key, value, ttl);
    if (signal?.aborted) throw storeCancelled(what);
    const entries = this.#entries;
    const subject = await entries.names.subject(key);
    const mark = {
      kind: "put" as const,
      ttl,
      ...(entries.names.key(subject) === undefined ? { key } : {}),
    };
    const write = (over: number | undefined): Promise<Outcome> =>
      this.#room(() => entries.write(subject, mark, value, over, signal));
    if (typeof expected !== "number" || entries.isLive(expected)) {
      const written = await write(expected === "absent" ? 0 : expected);
      if (written !== "stale") return written;
    }
    for (let tries = 0; tries < TRIES; tries++) {
      const kept = await entries.read(subject, signal);
      const revision = await entries.live(kept, signal) ? kept!.sequence : "absent";
      if (revision !== expected) throw revisionConflict(what, expected!, revision);
      const written = await write(kept?.sequence ?? 0);
      if (written !== "stale") return written;
      await entries.rest(tries, signal);
    }
    throw contended(what);
  }

  async delete(key: string, { expected, signal }: DeleteOptions = {}): Promise<void> {
    const what = `delete "${key}"`;
    checkKey(key);
    if (signal?.aborted) throw storeCancelled(what);
    const entries = this.#entries;
    const subject = await entries.names.subject(key);
    const mark = { kind: "gone" as const, ...(entries.names.key(subject) === undefined ? { key } : {}) };
    for (let tries = 0; tries < TRIES; tries++) {
      const kept = await entries.read(subject, signal);
      const revision = await entries.live(kept, signal) ? kept!.sequence : "absent";
      if (expected !== undefined && revision !== expected) throw revisionConflict(what, expected, revision);
      if (revision === "absent") return;
      if (await entries.write(subject, mark, "", revision, signal) !== "stale") return;
      await entries.rest(tries, signal);
    }
    throw contended(what);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<readonly Entry[]> {
    const { after, limit = 1000, signal } = options;
    checkLimit(limit);
    checkAfter(after);
    if (signal?.aborted) throw storeCancelled(`list "${prefix}"`);
    const entries = this.#entries;
    const { names } = entries;
    const key = (message: Kept): string | undefined => {
      const name = keyOf(message, names);
      if (name === undefined || !name.startsWith(prefix)) return undefined;
      return after === undefined || byCodePoint(name, after) > 0 ? name : undefined;
    };
    return await entries.stream.run(signal, async (stream) => {
      const found = await listKept(entries.stream, stream, {
        filter: names.filter(prefix),
        limit,
        signal,
        key,
        live: (message) => entries.live(message, signal),
      });
      return found.flatMap((message) => {
        const value = textOf(message);
        if (value === undefined) return [];
        return [{ key: key(message)!, value, revision: message.sequence }];
      });
    });
  }

  watch(prefix: string, { signal }: WatchOptions = {}): AsyncIterable<Change> {
    return this.#watches.watch(prefix, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watches.close();
    this.#entries.stream.close();
    await this.#sweep.close();
  }

  /** Takes away what nobody needs any longer when there is no room, and tries again. */
  async #room<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!CatgaError.is(thrown) || thrown.code !== "OVERLOADED" || !await this.#sweep.makeRoom()) {
        throw thrown;
      }
      return await work();
    }
  }
}

function contended(what: string): CatgaError {
  const message = `Cannot ${what}: others wrote it each of ${TRIES} times that it was tried`;
  return new CatgaError(systemFault("UNAVAILABLE", message));
}
