/** What an {@linkcode Lru} may hold. */
export interface LruLimits {
  /** How many entries, 1 or more. */
  readonly entries: number;
  /** How large all of them together, in whatever unit entries are set with. */
  readonly size: number;
}

/** What is dropped together. */
export class LruGroup {
  /** The entry that came last into it. */
  first: Entry<unknown> | undefined = undefined;
}

/** How many entries that were used since may be passed over to find one that was not. */
const CHANCES = 8;

class Entry<V> {
  readonly key: string;
  value: V;
  until: number;
  size: number;
  used: boolean = false;
  newer: Entry<V>;
  older: Entry<V>;
  group: LruGroup | undefined = undefined;
  before: Entry<V> | undefined = undefined;
  after: Entry<V> | undefined = undefined;

  constructor(key: string, value: V, until: number, size: number) {
    this.key = key;
    this.value = value;
    this.until = until;
    this.size = size;
    this.newer = this;
    this.older = this;
  }
}

/**
 * Keeps what was used last, within a number of entries and a total size. Each entry ends at a time of its own, judged
 * by the time its reader passes in; there are no timers, and what has ended stays until it is asked for or makes room.
 *
 * A reader only marks an entry; one that is marked when its turn to go comes loses the mark and begins anew (the
 * "second chance" of Corbató's clock, 1968). At most 8 are passed over for one, so that room is made in constant time.
 * The order is a list through the entries: that of a `Map` would be searched for its first key past all deleted ones.
 */
export class Lru<V> {
  /** How large its entries are together. */
  size: number = 0;
  /** How many entries had to make room. */
  evicted: number = 0;
  readonly #most: LruLimits;
  readonly #entries: Map<string, Entry<V>> = new Map();
  readonly #ring: Entry<V> = new Entry<V>("", undefined as V, 0, 0);

  constructor(limits: LruLimits) {
    const { entries, size } = limits;
    if (!(Number.isSafeInteger(entries) && entries > 0)) {
      throw new RangeError(`Cannot keep ${entries} entries: it must be a whole number over 0`);
    }
    if (!(size > 0)) throw new RangeError(`Cannot keep entries of size ${size} in all: it must be over 0`);
    this.#most = limits;
  }

  /** How many entries there are, those included that have ended and were not asked for since. */
  get count(): number {
    return this.#entries.size;
  }

  /** The value of a key, which counts as used now; `undefined` when there is none or it has ended. */
  get(key: string, now: number): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (now >= entry.until) {
      this.#remove(entry);
      return undefined;
    }
    if (!entry.used) entry.used = true;
    return entry.value;
  }

  /**
   * Keeps a value until a time; those used longest ago make room. A value that is larger than all may be is not kept,
   * and neither is what its key had before.
   *
   * @param group what it is dropped with
   */
  set(key: string, value: V, until: number, size: number, group?: LruGroup): boolean {
    const before = this.#entries.get(key);
    if (before !== undefined) this.#remove(before);
    const most = this.#most;
    if (!(size >= 0 && size <= most.size)) return false;
    while (this.count >= most.entries || this.size + size > most.size) this.#evict();
    const entry = new Entry(key, value, until, size);
    this.#entries.set(key, entry);
    linkAfter(this.#ring, entry);
    if (group !== undefined) enter(group as { first: Entry<V> | undefined }, entry);
    this.size += size;
    return true;
  }

  /** Lets a key go; answers whether it was there. */
  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#remove(entry);
    return entry !== undefined;
  }

  /** Lets all entries of a group go; answers how many there were. */
  drop(group: LruGroup): number {
    const { count } = this;
    while (group.first !== undefined) this.#remove(group.first as Entry<V>);
    return count - this.count;
  }

  /** Lets everything go. */
  clear(): void {
    while (this.count > 0) this.#remove(this.#ring.newer);
  }

  #evict(): void {
    const ring = this.#ring;
    let oldest = ring.newer;
    for (let chances = CHANCES; oldest.used && chances > 0; chances--) {
      oldest.used = false;
      unlink(oldest);
      linkAfter(ring, oldest);
      oldest = ring.newer;
    }
    this.#remove(oldest);
    this.evicted++;
  }

  #remove(entry: Entry<V>): void {
    this.#entries.delete(entry.key);
    unlink(entry);
    if (entry.group !== undefined) leave(entry.group, entry);
    this.size = this.count === 0 ? 0 : this.size - entry.size;
  }
}

// The ring leads from its head to the entry used last by `older`, and to the one used longest ago by `newer`.
function linkAfter<V>(head: Entry<V>, entry: Entry<V>): void {
  const { older } = head;
  entry.newer = head;
  entry.older = older;
  older.newer = entry;
  head.older = entry;
}

function unlink<V>({ newer, older }: Entry<V>): void {
  newer.older = older;
  older.newer = newer;
}

function enter<V>(group: { first: Entry<V> | undefined }, entry: Entry<V>): void {
  const { first } = group;
  entry.group = group as LruGroup;
  entry.after = first;
  if (first !== undefined) first.before = entry;
  group.first = entry;
}

function leave<V>(group: LruGroup, { before, after }: Entry<V>): void {
  if (before === undefined) group.first = after;
  else before.after = after;
  if (after !== undefined) after.before = before;
}
