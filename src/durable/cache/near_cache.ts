import { backoff } from "../../internal/backoff.ts";
import { Lru } from "../../internal/lru.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Change, Store } from "../../ports/store.ts";
import type { NearCacheOptions } from "./cache_types.ts";
import type { Kept } from "./cache_shelf.ts";

/** How long to wait after the watch has ended, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 5000;
/** What an entry takes beside its key and value, in bytes. */
const ENTRY = 300;
/** Of how many tags it is known when they were invalidated; with more of them all begins anew. */
const TAGS = 10_000;

interface Near<V> extends Kept<V> {
  /** Until when it is answered, in ms of the monotonic clock. */
  readonly until: number;
}

/** What was heard of a key while it is read. */
interface Filling {
  newest: number;
  readers: number;
}

/** A reading of the store that may fill the cache. */
export interface Fill<V> {
  /** Keeps what was read, unless something newer was heard of meanwhile, for so many ms from when this was begun. */
  keep(kept: Kept<V>, ttl: number): void;
  close(): void;
}

/**
 * Values in the process, let go when the store says that they have changed. An answer of the store and the word of a
 * change may overtake each other, so what is read is kept only if nothing newer was heard of since it was asked for.
 */
export class NearCache<V> implements Disposable {
  readonly #prefix: string;
  readonly #store: Store;
  readonly #runtime: Runtime;
  readonly #maxAge: number;
  readonly #staleIfDown: number;
  readonly #kept: Lru<Near<V>>;
  readonly #filling: Map<string, Filling> = new Map();
  /** When tags were last invalidated, as revisions. */
  readonly #tags: Map<string, number> = new Map();
  readonly #closed: AbortController = new AbortController();
  #begun = false;

  /** Throws a `RangeError` for limits that are none. */
  constructor(prefix: string, store: Store, runtime: Runtime, options: NearCacheOptions) {
    const { entries = 10_000, size = 2 ** 24, maxAge = 5000, staleIfDown = 0 } = options;
    if (!(maxAge > 0 && staleIfDown >= 0)) {
      throw new RangeError(`Cannot keep values near: maxAge is ${maxAge} and staleIfDown ${staleIfDown} ms`);
    }
    this.#prefix = prefix;
    this.#store = store;
    this.#runtime = runtime;
    this.#maxAge = maxAge;
    this.#staleIfDown = staleIfDown;
    this.#kept = new Lru({ entries, size });
  }

  /** The value of a key, also one that is good only while the store cannot be asked; `undefined` if there is none. */
  get(key: string, isDown: boolean = false): V | undefined {
    const now = this.#runtime.clock.mono();
    const near = this.#kept.get(key, now);
    if (near === undefined || (now >= near.until && !isDown)) return undefined;
    if (near.tags.every((tag) => !(this.#tags.get(tag)! > near.since))) return near.value;
    this.#kept.delete(key);
    return undefined;
  }

  /** Begins to read a key. */
  open(key: string): Fill<V> {
    this.#begin();
    const begun = this.#runtime.clock.mono();
    const filling = this.#filling.get(key) ?? { newest: 0, readers: 0 };
    filling.readers++;
    this.#filling.set(key, filling);
    return {
      keep: (kept, ttl) => {
        if (kept.size === undefined || filling.newest > kept.revision || this.#closed.signal.aborted) return;
        const until = begun + Math.min(ttl, this.#maxAge);
        const size = kept.size + 2 * key.length + ENTRY;
        this.#kept.set(key, { ...kept, until }, until + this.#staleIfDown, size);
      },
      close: () => {
        if (--filling.readers === 0 && this.#filling.get(key) === filling) this.#filling.delete(key);
      },
    };
  }

  /** Lets a value go, and what is being read of it. */
  drop(key: string): void {
    this.#kept.delete(key);
    this.#heard(key, Infinity);
  }

  /** Lets all go, and what is being read. */
  clear(): void {
    this.#kept.clear();
    this.#tags.clear();
    for (const filling of this.#filling.values()) filling.newest = Infinity;
    this.#filling.clear();
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    this.clear();
  }

  #heard(key: string, revision: number): void {
    const filling = this.#filling.get(key);
    if (filling === undefined) return;
    filling.newest = Math.max(filling.newest, revision);
    // Whoever begins to read now may keep what it finds.
    if (revision === Infinity) this.#filling.delete(key);
  }

  #begin(): void {
    if (this.#begun || this.#closed.signal.aborted) return;
    this.#begun = true;
    this.#runtime.background(this.#follow());
  }

  async #follow(): Promise<void> {
    const { clock, random } = this.#runtime;
    const { signal } = this.#closed;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        for await (const change of this.#store.watch(this.#prefix, { signal })) {
          if (signal.aborted) return;
          failures = 0;
          this.#take(change);
        }
      } catch {
        // No value is older than its time until the watch is there again.
      }
      await sleep(clock, backoff(failures, DELAY, LONGEST, random.u32()), signal);
    }
  }

  #take(change: Change): void {
    // What has changed before was not told.
    if (change.type === "ready") return this.clear();
    const [path, revision] = change.type === "put"
      ? [change.entry.key, change.entry.revision]
      : [change.key, change.revision];
    const name = path.slice(path.indexOf(":", this.#prefix.length) + 1);
    if (path.startsWith("tag/", this.#prefix.length)) return this.#invalidated(name, change.type, revision);
    // A mark that is gone means that the value is past its time.
    if (path.startsWith("mark/", this.#prefix.length) && change.type === "put") return;
    const near = this.#kept.get(name, -Infinity);
    if (near !== undefined && near.revision < revision) this.#kept.delete(name);
    this.#heard(name, revision);
  }

  #invalidated(tag: string, type: "put" | "delete", revision: number): void {
    if (type === "delete") return void this.#tags.delete(tag);
    if (this.#tags.size >= TAGS) this.clear();
    this.#tags.set(tag, revision);
  }
}
