import { CatgaError, systemFault } from "../../src/result.ts";
import type { Clock } from "../../src/ports/runtime.ts";
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
import { checkAfter, checkKey, checkLimit, checkPut, storeCancelled } from "../../src/ports/store_faults.ts";
import { revisionOf } from "../../src/ports/written.ts";
import { ChangeFeed } from "../../src/internal/change_feed.ts";
import { EntryTable, type TableChange } from "../../src/internal/entry_table.ts";

/** How long to wait before an entry whose time should be over is looked at again, in ms. */
const SHORTEST = 0.1;

/** What {@linkcode memoryStore} takes. */
export interface MemoryStoreOptions {
  /** The store's clock: its monotonic side tells when an entry's time is over. */
  readonly clock: Pick<Clock, "mono" | "timer">;
  /** How many entries it takes; over it writes are refused with `OVERLOADED`. @default 100000 */
  readonly keys?: number;
  /** How large all of it may be, two bytes a character. @default 67108864 (64 MiB) */
  readonly bytes?: number;
  /** How many may watch at a time; over it a watch is refused with `OVERLOADED`. @default 4096 */
  readonly watches?: number;
}

/**
 * A store in this process, for all who are given it. Nothing outlives the process.
 *
 * @example
 * ```ts
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const store = memoryStore({ clock: systemRuntime().clock });
 * const revision = await store.put("color", "red", { expected: "absent" });
 * await store.put("color", "green", { expected: revision });
 * console.log(await store.get("color"));
 * ```
 */
export function memoryStore(options: MemoryStoreOptions): Store {
  return new MemoryStore(options);
}

class MemoryStore implements Store {
  readonly durability = "none";
  readonly #clock: Pick<Clock, "mono" | "timer">;
  readonly #watches: number;
  readonly #table: EntryTable;
  readonly #feeds: Map<ChangeFeed<Entry>, string> = new Map();
  /** What drops the entries that are watched when their time is over; nobody notices the others. */
  readonly #timers: Map<string, () => void> = new Map();

  constructor({ clock, keys = 100_000, bytes = 64 * 2 ** 20, watches = 4096 }: MemoryStoreOptions) {
    for (const [name, limit] of Object.entries({ keys, bytes, watches })) {
      if (!(limit >= 1)) {
        throw new RangeError(`Cannot make a store: ${name} is ${limit}, but must be 1 or more`);
      }
    }
    this.#clock = clock;
    this.#watches = watches;
    this.#table = new EntryTable({ keys, bytes }, (change) => this.#changed(change));
  }

  get(key: string, { signal }: GetOptions = {}): Promise<Entry | undefined> {
    return soon(`get "${key}"`, signal, () => {
      checkKey(key);
      return this.#table.get(this.#clock.mono(), key);
    });
  }

  put(key: string, value: string, { expected, ttl, signal }: PutOptions = {}): Promise<number> {
    return soon(`put "${key}"`, signal, (what) => {
      checkPut(key, value, ttl);
      const now = this.#clock.mono();
      const revision = revisionOf(what, expected, this.#table.put(now, key, value, expected, ttl));
      if (this.#feeds.size > 0 && ttl !== undefined) this.#arm(key, now + ttl);
      return revision;
    });
  }

  delete(key: string, { expected, signal }: DeleteOptions = {}): Promise<void> {
    return soon(`delete "${key}"`, signal, (what) => {
      checkKey(key);
      revisionOf(what, expected, this.#table.delete(this.#clock.mono(), key, expected));
    });
  }

  list(prefix: string, { after, limit = 1000, signal }: ListOptions = {}): Promise<readonly Entry[]> {
    return soon(`list "${prefix}"`, signal, () => {
      checkLimit(limit);
      checkAfter(after);
      return this.#table.list(this.#clock.mono(), prefix, limit, after);
    });
  }

  async *watch(prefix: string, { signal }: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    if (signal?.aborted) return;
    if (this.#feeds.size >= this.#watches) {
      const message = `Cannot watch "${prefix}": ${this.#watches} watch already, as many as may`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    const feed = new ChangeFeed<Entry>();
    const end = (): void => {
      feed.end();
      this.#forget(feed);
    };
    feed.begin(this.#table.list(this.#clock.mono(), prefix, Infinity));
    if (this.#feeds.size === 0) {
      for (const [key, expires] of this.#table.expiring()) {
        this.#arm(key, expires);
      }
    }
    this.#feeds.set(feed, prefix);
    signal?.addEventListener("abort", end, { once: true });
    try {
      yield* feed.read();
    } finally {
      signal?.removeEventListener("abort", end);
      this.#forget(feed);
    }
  }

  #forget(feed: ChangeFeed<Entry>): void {
    this.#feeds.delete(feed);
    if (this.#feeds.size > 0) return;
    for (const key of [...this.#timers.keys()]) this.#disarm(key);
  }

  #changed(change: TableChange): void {
    const key = change.type === "put" ? change.entry.key : change.key;
    this.#disarm(key);
    for (const [feed, prefix] of this.#feeds) if (key.startsWith(prefix)) feed.offer(change);
  }

  #arm(key: string, expires: number): void {
    const ms = Math.max(expires - this.#clock.mono(), 0);
    const look = (): void => {
      const now = this.#clock.mono();
      // Sums of fractions may differ in their last bit.
      if (this.#table.get(now, key) !== undefined) this.#arm(key, Math.max(expires, now + SHORTEST));
    };
    this.#timers.set(key, this.#clock.timer(ms, look));
  }

  #disarm(key: string): void {
    this.#timers.get(key)?.();
    this.#timers.delete(key);
  }
}

function soon<T>(what: string, signal: AbortSignal | undefined, work: (what: string) => T): Promise<T> {
  if (signal?.aborted) return Promise.reject(storeCancelled(what));
  try {
    return Promise.resolve(work(what));
  } catch (thrown) {
    return Promise.reject(thrown);
  }
}
