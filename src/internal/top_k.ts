import { hash32 } from "./hash.ts";

/** A key and how often it was seen. The object lives: its counts change with later hits. */
export interface TopEntry {
  /** The key, or what {@linkcode TopK} made of a long one. */
  readonly key: string;
  /** Never less than how often it was seen. */
  readonly count: number;
  /** How far the count may be above that. */
  readonly error: number;
}

/** A longer key is known by its beginning and its hash, so that keys of any length take bounded memory. */
const LONGEST = 128;
const KEPT = 120;

/** Entries with the same count, in a list by count. */
interface Bucket {
  count: number;
  first: Entry | undefined;
  lower: Bucket | undefined;
  higher: Bucket | undefined;
}

class Entry implements TopEntry {
  key: string;
  error = 0;
  bucket: Bucket | undefined = undefined;
  before: Entry | undefined = undefined;
  after: Entry | undefined = undefined;

  constructor(key: string) {
    this.key = key;
  }

  get count(): number {
    return this.bucket!.count;
  }
}

/**
 * The most frequent keys of an endless run in bounded memory: the Space-Saving algorithm with its stream summary
 * (Metwally, Agrawal and El Abbadi, "Efficient computation of frequent and top-k elements in data streams", 2005).
 * A hit takes constant time. Of `total` hits, each key with more than `total / size` is in; after halvings one more
 * may be needed. Keys of more than 128 UTF-16 units are told apart by their first 120 and a 32-bit hash.
 */
export class TopK {
  /** How many hits there were; halved with the counts. */
  total: number = 0;
  readonly #size: number;
  readonly #entries: Map<string, Entry> = new Map();
  #lowest: Bucket | undefined;
  #highest: Bucket | undefined;

  /** @param size how many keys are counted at a time, 1 or more */
  constructor(size: number) {
    if (!(Number.isSafeInteger(size) && size > 0)) {
      throw new RangeError(`Cannot count ${size} keys: it must be a whole number over 0`);
    }
    this.#size = size;
  }

  /** Counts a key; the rarest one makes room for a new one, and its count is the new one's error. */
  hit(key: string): TopEntry {
    const name = shortKey(key);
    this.total++;
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      if (this.#entries.size < this.#size) entry = new Entry(name);
      else entry = this.#replaced(name);
      this.#entries.set(name, entry);
    }
    this.#raise(entry);
    return entry;
  }

  /** What is known of a key; `undefined` when it is not among those counted. */
  get(key: string): TopEntry | undefined {
    return this.#entries.get(shortKey(key));
  }

  /** The most frequent keys as they are now, the first first. */
  top(n: number): TopEntry[] {
    const top: TopEntry[] = [];
    for (let bucket = this.#highest; bucket !== undefined; bucket = bucket.lower) {
      for (let entry = bucket.first; entry !== undefined; entry = entry.after) {
        if (top.length >= n) return top;
        top.push({ key: entry.key, count: entry.count, error: entry.error });
      }
    }
    return top;
  }

  /** Halves all counts, so that what was hot long ago cools. Counts stay whole and their bounds true. */
  halve(): void {
    this.total /= 2;
    for (let bucket = this.#lowest; bucket !== undefined; bucket = bucket.higher) {
      const count = Math.ceil(bucket.count / 2);
      for (let entry = bucket.first; entry !== undefined; entry = entry.after) {
        entry.error = count - Math.floor((bucket.count - entry.error) / 2);
      }
      bucket.count = count;
      const { lower } = bucket;
      if (lower?.count !== count) continue;
      while (lower.first !== undefined) move(lower.first, bucket);
      this.#drop(lower);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.total = 0;
    this.#entries.clear();
    this.#lowest = undefined;
    this.#highest = undefined;
  }

  #replaced(name: string): Entry {
    const entry = this.#lowest!.first!;
    this.#entries.delete(entry.key);
    entry.key = name;
    entry.error = entry.count;
    return entry;
  }

  /** Takes an entry one bucket up. */
  #raise(entry: Entry): void {
    const from = entry.bucket;
    const count = (from?.count ?? 0) + 1;
    const next = from === undefined ? this.#lowest : from.higher;
    if (next?.count === count) {
      move(entry, next);
    } else if (from !== undefined && from.first === entry && entry.after === undefined) {
      from.count = count;
      return;
    } else {
      const bucket: Bucket = { count, first: undefined, lower: from, higher: next };
      if (from === undefined) this.#lowest = bucket;
      else from.higher = bucket;
      if (next === undefined) this.#highest = bucket;
      else next.lower = bucket;
      move(entry, bucket);
    }
    if (from !== undefined && from.first === undefined) this.#drop(from);
  }

  #drop({ lower, higher }: Bucket): void {
    if (lower === undefined) this.#lowest = higher;
    else lower.higher = higher;
    if (higher === undefined) this.#highest = lower;
    else higher.lower = lower;
  }
}

function move(entry: Entry, to: Bucket): void {
  const { bucket, before, after } = entry;
  if (before !== undefined) before.after = after;
  else if (bucket !== undefined) bucket.first = after;
  if (after !== undefined) after.before = before;
  entry.bucket = to;
  entry.before = undefined;
  entry.after = to.first;
  if (to.first !== undefined) to.first.before = entry;
  to.first = entry;
}

/** What {@linkcode TopK} knows a key by. A cut one is longer than any whole one, so the two never meet. */
export function shortKey(key: string): string {
  if (key.length <= LONGEST) return key;
  // Built from its units: a slice would keep the whole text in memory.
  const units = Array.from({ length: KEPT }, (_, at) => key.charCodeAt(at));
  const kept = String.fromCharCode(...units).toWellFormed();
  return `${kept}~${hash32(key).toString(16).padStart(8, "0")}`;
}
