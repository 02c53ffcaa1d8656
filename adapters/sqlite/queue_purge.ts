import type { SqlDatabase, SqlStatement } from "./driver.ts";
import type { QueueItems } from "./queue_items.ts";
import type { Transaction } from "./transaction.ts";

/** How many items are taken away in one transaction. */
const SOME = 500;

interface Ended {
  readonly id: number;
  readonly cursor: number;
  readonly until: number;
}

/** Takes away what groups had that have ended. */
export class QueuePurge {
  readonly #items: QueueItems;
  readonly #ended: SqlStatement<Ended>;
  readonly #taken: SqlStatement<{ readonly state: number; readonly ord: number; readonly seq: number }>;
  readonly #forget: SqlStatement<unknown>;
  readonly #rest: SqlStatement<{ readonly seq: number }>;
  readonly #move: SqlStatement<unknown>;
  readonly #delete: SqlStatement<unknown>;

  constructor(db: SqlDatabase, items: QueueItems) {
    this.#items = items;
    this.#ended = db.prepare("SELECT id, cursor, until FROM taker WHERE name IS NULL LIMIT 1");
    this.#taken = db.prepare("SELECT state, ord, seq FROM delivery WHERE taker = ? LIMIT ?");
    this.#forget = db.prepare("DELETE FROM delivery WHERE taker = ? AND state = ? AND ord = ? AND seq = ?");
    this.#rest = db.prepare("SELECT seq FROM item WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?");
    this.#move = db.prepare("UPDATE taker SET cursor = ? WHERE id = ?");
    this.#delete = db.prepare("DELETE FROM taker WHERE id = ?");
  }

  /** Takes some of it away; answers whether there is more. */
  run(tx: Transaction): boolean {
    for (let left = SOME; tx.state.ended > 0;) {
      const group = this.#ended.get();
      if (group === undefined) {
        tx.state.ended = 0;
        return false;
      }
      left -= this.#clear(tx, group, left);
      if (left <= 0) return true;
      this.#delete.run(group.id);
      tx.state.ended--;
    }
    return false;
  }

  #clear(tx: Transaction, { id, cursor, until }: Ended, most: number): number {
    const taken = this.#taken.all(id, most);
    for (const { state, ord, seq } of taken) {
      this.#forget.run(id, state, ord, seq);
      this.#items.release(tx, seq);
    }
    if (taken.length === most) return most;
    const rest = this.#rest.all(cursor, until, most - taken.length);
    for (const { seq } of rest) this.#items.release(tx, seq);
    if (rest.length > 0) this.#move.run(rest.at(-1)!.seq, id);
    return taken.length + rest.length;
  }
}
