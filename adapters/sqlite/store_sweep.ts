import type { SqlStatement } from "./driver.ts";
import type { Ledger } from "./ledger.ts";
import type { Transaction } from "./transaction.ts";

/** How many entries whose time is over are taken away at once. */
const SOME = 256;
/** How often somebody who writes looks for them, in ms. */
const PAUSE = 1000;
/** How many deletes are remembered, for watches of other processes: at least so many, and up to twice as many. */
const REMEMBERED = 10_000;

/** Takes entries away, so that watches hear of it. */
export class StoreSweep {
  readonly #over: SqlStatement<{ readonly revision: number; readonly key: string }>;
  readonly #next: SqlStatement<{ readonly next: number | null }>;
  readonly #delete: SqlStatement<unknown>;
  readonly #gone: SqlStatement<unknown>;
  readonly #forget: SqlStatement<unknown>;
  #looked = -Infinity;

  constructor({ db }: Ledger) {
    this.#over = db.prepare("SELECT revision, key FROM entry WHERE expires <= ? ORDER BY expires LIMIT ?");
    this.#next = db.prepare("SELECT MIN(expires) AS next FROM entry WHERE expires IS NOT NULL");
    this.#delete = db.prepare("DELETE FROM entry WHERE revision = ?");
    this.#gone = db.prepare("INSERT INTO gone (revision, key) VALUES (?, ?)");
    this.#forget = db.prepare("DELETE FROM gone WHERE revision <= ?");
  }

  /** When the time of the next entry is over; `undefined` if none has a time. */
  next(): number | undefined {
    return this.#next.get()?.next ?? undefined;
  }

  /** Takes some away whose time is over; answers whether that were all. */
  run(tx: Transaction): boolean {
    const over = this.#over.all(tx.now, SOME);
    for (const { revision, key } of over) this.drop(tx, revision, key);
    return over.length < SOME;
  }

  /** The same, unless it was done a moment ago. */
  sometimes(tx: Transaction): void {
    if (tx.now - this.#looked >= PAUSE && this.run(tx)) this.#looked = tx.now;
  }

  /** Takes one away. */
  drop({ state, told }: Transaction, revision: number, key: string): void {
    this.#delete.run(revision);
    this.#gone.run(++state.revision, key);
    state.keys--;
    told.add("store");
    if (state.revision - state.floor > 2 * REMEMBERED) {
      state.floor = state.revision - REMEMBERED;
      this.#forget.run(state.floor);
    }
  }
}
