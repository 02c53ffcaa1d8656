import { byCodePoint, sortByCodePoint } from "./by_code_point.ts";

/** What is kept under a key. */
interface Kept {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

interface Row {
  readonly entry: Kept;
  readonly expires: number;
}

/** What happened to a table. */
export type TableChange =
  | { readonly type: "put"; readonly entry: Kept }
  | { readonly type: "delete"; readonly key: string; readonly revision: number };

/** What came of a write. */
export type Written =
  | { readonly type: "done"; readonly revision: number }
  | { readonly type: "conflict"; readonly found: number | "absent" }
  | { readonly type: "full" };

/** How much a table takes. */
export interface TableLimits {
  readonly keys: number;
  /** Two for each character of a key or a value. */
  readonly bytes: number;
}

/** Entries with revisions and times to live. Times are ms of its owner's clock, which never goes back. */
export class EntryTable {
  readonly #rows: Map<string, Row> = new Map();
  readonly #limits: TableLimits;
  readonly #changed: (change: TableChange) => void;
  #revision = 0;
  #bytes = 0;

  constructor(limits: TableLimits, changed: (change: TableChange) => void) {
    this.#limits = limits;
    this.#changed = changed;
  }

  get(now: number, key: string): Kept | undefined {
    const row = this.#rows.get(key);
    if (row === undefined || row.expires > now) return row?.entry;
    this.#drop(row.entry);
    return undefined;
  }

  put(
    now: number,
    key: string,
    value: string,
    expected: number | "absent" | undefined,
    ttl: number = Infinity,
  ): Written {
    const before = this.get(now, key);
    const found = before?.revision ?? "absent";
    if (expected !== undefined && expected !== found) return { type: "conflict", found };
    const entry: Kept = { key, value, revision: this.#revision + 1 };
    if (!this.#fits(before, entry)) {
      this.expire(now);
      if (!this.#fits(before, entry)) return { type: "full" };
    }
    const revision = ++this.#revision;
    this.#bytes += sizeOf(entry) - sizeOf(before);
    this.#rows.set(key, { entry: { key, value, revision }, expires: now + ttl });
    this.#changed({ type: "put", entry: { key, value, revision } });
    return { type: "done", revision };
  }

  delete(now: number, key: string, expected: number | undefined): Written {
    const before = this.get(now, key);
    const found = before?.revision ?? "absent";
    if (expected !== undefined && expected !== found) return { type: "conflict", found };
    if (before !== undefined) this.#drop(before);
    return { type: "done", revision: this.#revision };
  }

  list(now: number, prefix: string, limit: number, after: string = ""): Kept[] {
    const keys = sortByCodePoint(
      [...this.#rows.keys()].filter((key) => key.startsWith(prefix) && byCodePoint(key, after) > 0),
    );
    const entries: Kept[] = [];
    for (const key of keys) {
      const entry = entries.length < limit ? this.get(now, key) : undefined;
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  /** Drops all whose time is over. */
  expire(now: number): void {
    for (const { entry, expires } of [...this.#rows.values()]) if (expires <= now) this.#drop(entry);
  }

  /** The keys whose time will be over, and when. */
  *expiring(): Iterable<readonly [key: string, expires: number]> {
    for (const [key, { expires }] of this.#rows) if (expires < Infinity) yield [key, expires];
  }

  #drop(entry: Kept): void {
    this.#rows.delete(entry.key);
    this.#bytes -= sizeOf(entry);
    this.#changed({ type: "delete", key: entry.key, revision: ++this.#revision });
  }

  #fits(before: Kept | undefined, after: Kept): boolean {
    const { keys, bytes } = this.#limits;
    const more = before === undefined ? 1 : 0;
    return this.#rows.size + more <= keys && this.#bytes + sizeOf(after) - sizeOf(before) <= bytes;
  }
}

function sizeOf(entry: Kept | undefined): number {
  return entry === undefined ? 0 : 2 * (entry.key.length + entry.value.length);
}
