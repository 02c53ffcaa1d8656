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
} from "../../src/ports/store_faults.ts";
import type { Durability } from "../../src/ports/storage.ts";
import { byCodePoint } from "../../src/internal/by_code_point.ts";
import type { SqlDatabase, SqlStatement } from "./driver.ts";
import type { Ledger } from "./ledger.ts";
import { refusal } from "./refusal.ts";
import { StoreFeed } from "./store_feed.ts";
import { StoreSweep } from "./store_sweep.ts";
import { afterPrefix, fromSql, toSql } from "./text.ts";
import type { Transaction } from "./transaction.ts";

/** What bounds a {@linkcode SqliteStore}. */
export interface StoreLimits {
  readonly keys: number;
  readonly watches: number;
}

/** An entry as it is kept. */
export interface EntryRow {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

interface Found {
  readonly revision: number;
  readonly expires: number | null;
}

/** The store of a file. */
export class SqliteStore implements Store {
  readonly durability: Durability;
  readonly #ledger: Ledger;
  readonly #limits: StoreLimits;
  readonly #feed: StoreFeed;
  readonly #sweep: StoreSweep;
  readonly #get: SqlStatement<{ readonly value: string } & Found>;
  readonly #find: SqlStatement<Found>;
  readonly #insert: SqlStatement<unknown>;
  readonly #update: SqlStatement<unknown>;
  readonly #list: SqlStatement<EntryRow>;
  readonly #listAll: SqlStatement<EntryRow>;

  constructor(
    ledger: Ledger,
    clock: { timer(ms: number, run: () => void): () => void },
    limits: StoreLimits,
    durability: Durability,
  ) {
    const { db } = ledger;
    this.durability = durability;
    this.#ledger = ledger;
    this.#limits = limits;
    this.#sweep = new StoreSweep(ledger);
    this.#feed = new StoreFeed(ledger, clock, this.#sweep);
    this.#get = db.prepare("SELECT value, revision, expires FROM entry WHERE key = ?");
    this.#find = db.prepare("SELECT revision, expires FROM entry WHERE key = ?");
    this.#insert = db.prepare("INSERT INTO entry (revision, key, value, expires) VALUES (?, ?, ?, ?)");
    this.#update = db.prepare("UPDATE entry SET revision = ?, value = ?, expires = ? WHERE revision = ?");
    this.#list = listing(db, "key >= ? AND key < ?");
    this.#listAll = listing(db, "key >= ?");
  }

  get(key: string, { signal }: GetOptions = {}): Promise<Entry | undefined> {
    return refusal(() => checkKey(key)) ?? this.#ledger.read(`get "${key}"`, signal, (now) => {
      const row = this.#get.get(toSql(key));
      if (row === undefined || isOver(row, now)) return undefined;
      return { key, value: fromSql(row.value), revision: row.revision };
    });
  }

  put(key: string, value: string, { expected, ttl, signal }: PutOptions = {}): Promise<number> {
    const what = `put "${key}"`;
    const work = (tx: Transaction): number => {
      const { state, now, told } = tx;
      const name = toSql(key);
      const found = this.#expect(what, name, expected, now);
      if (found === undefined) this.#makeRoom(tx, what);
      this.#sweep.sometimes(tx);
      const revision = ++state.revision;
      const expires = ttl === undefined ? null : Math.ceil(now + ttl);
      if (found !== undefined) this.#update.run(revision, toSql(value), expires, found.revision);
      else {
        this.#insert.run(revision, name, toSql(value), expires);
        state.keys++;
      }
      told.add("store");
      return revision;
    };
    return refusal(() => checkPut(key, value, ttl)) ??
      this.#ledger.write(what, signal, work, key.length + value.length);
  }

  delete(key: string, { expected, signal }: DeleteOptions = {}): Promise<void> {
    const what = `delete "${key}"`;
    const work = (tx: Transaction): void => {
      const name = toSql(key);
      const found = this.#expect(what, name, expected, tx.now);
      if (found !== undefined) this.#sweep.drop(tx, found.revision, name);
    };
    return refusal(() => checkKey(key)) ?? this.#ledger.free(what, signal, work);
  }

  list(prefix: string, { after, limit = 1000, signal }: ListOptions = {}): Promise<readonly Entry[]> {
    return refusal(() => (checkLimit(limit), checkAfter(after))) ??
      this.#ledger.read(`list "${prefix}"`, signal, (now) => this.#entries(prefix, limit, now, after));
  }

  async *watch(prefix: string, { signal }: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    if (signal?.aborted) return;
    const what = `watch "${prefix}"`;
    if (this.#feed.size >= this.#limits.watches) {
      const message = `Cannot ${what}: ${this.#limits.watches} watch already, as many as may`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    const feed = await this.#ledger.read(
      what,
      undefined,
      () => this.#feed.open(prefix, () => this.#entries(prefix, -1, this.#ledger.clock.now())),
    );
    const end = (): void => {
      feed.end();
      this.#feed.close(feed);
    };
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end();
    try {
      yield* feed.read();
    } finally {
      signal?.removeEventListener("abort", end);
      this.#feed.close(feed);
    }
  }

  /** Breaks all watches off. */
  close(): void {
    this.#feed.breakOff("the storage was closed");
  }

  #entries(prefix: string, limit: number, now: number, after?: string): Entry[] {
    const first = after === undefined ? prefix : later(prefix, `${after}\u0000`);
    const [from, to] = [toSql(first), afterPrefix(toSql(prefix))];
    const rows = to === undefined
      ? this.#listAll.all(from, now, limit)
      : this.#list.all(from, to, now, limit);
    return rows.map(entryOf);
  }

  /** What is there, if it is what was expected; what is over is still to be written over. */
  #expect(
    what: string,
    name: string,
    expected: number | "absent" | undefined,
    now: number,
  ): Found | undefined {
    const found = this.#find.get(name);
    const revision = found === undefined || isOver(found, now) ? "absent" : found.revision;
    if (expected !== undefined && expected !== revision) throw revisionConflict(what, expected, revision);
    return found;
  }

  #makeRoom(tx: Transaction, what: string): void {
    const { keys } = this.#limits;
    if (tx.state.keys < keys) return;
    this.#sweep.run(tx);
    if (tx.state.keys < keys) return;
    throw new CatgaError(
      systemFault("OVERLOADED", `Cannot ${what}: the store has ${keys} entries, as many as it takes`),
    );
  }
}

/** What a row is to a reader. */
export function entryOf({ key, value, revision }: EntryRow): Entry {
  return { key: fromSql(key), value: fromSql(value), revision };
}

function later(a: string, b: string): string {
  return byCodePoint(a, b) > 0 ? a : b;
}

function isOver({ expires }: Found, now: number): boolean {
  return expires !== null && expires <= now;
}

function listing(db: SqlDatabase, range: string): SqlStatement<EntryRow> {
  return db.prepare<EntryRow>(
    `SELECT key, value, revision FROM entry WHERE ${range} AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?`,
  );
}
