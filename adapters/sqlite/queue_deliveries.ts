import type { Frame } from "../../src/ports/transport.ts";
import type { SqlDatabase, SqlStatement } from "./driver.ts";
import type { QueueItems } from "./queue_items.ts";
import type { QueueTakers, Taker } from "./queue_takers.ts";
import { areaOf, micros, type QueueTopics, seqOf, topicOf } from "./queue_topics.ts";
import type { Transaction } from "./transaction.ts";

/** How it stands with a delivery. */
const READY = 0;
const DELAYED = 1;
const LEASED = 2;
/** One before it with its key is not done with. */
const BLOCKED = 3;

/** How many items are read at once, looked at in one transaction, and how large is what one pull hands out. */
const SOME = 64;
const LOOKS = 1024;
const SIZE = 4 * 2 ** 20;

/** An item that was taken. */
export interface Taken {
  readonly seq: number;
  readonly id: string;
  readonly key: string | null;
  readonly payload: Frame;
  /** In µs since 1970. */
  readonly pushed: number;
  readonly attempt: number;
}

/** What a pull found. */
export interface Found {
  readonly taken: readonly Taken[];
  /** There may be more: not everything was looked at. */
  readonly more: boolean;
}

type Waiting = Taken & { readonly ord: number };
type Fresh = Omit<Taken, "attempt"> & { readonly due: number | null };

/** What the groups have looked at and not done with. Times are µs since 1970 by the file's clock. */
export class QueueDeliveries {
  readonly #topics: QueueTopics;
  readonly #takers: QueueTakers;
  readonly #items: QueueItems;
  readonly #ripen: SqlStatement<unknown>;
  readonly #ready: SqlStatement<Waiting>;
  readonly #fresh: SqlStatement<Fresh>;
  readonly #insert: SqlStatement<unknown>;
  readonly #lease: SqlStatement<unknown>;
  readonly #ofKey: SqlStatement<{ readonly state: number; readonly ord: number; readonly seq: number }>;
  readonly #due: SqlStatement<{ readonly due: number | null }>;
  readonly #move: SqlStatement<unknown>;
  readonly #remove: SqlStatement<unknown>;
  readonly #isReady: SqlStatement<unknown>;
  readonly #next: SqlStatement<{ readonly next: number | null }>;
  readonly #count: SqlStatement<
    { readonly items: number; readonly leased: number | null; readonly first: number }
  >;
  readonly #anywhere: SqlStatement<unknown>;
  readonly #pushed: SqlStatement<{ readonly pushed: number }>;

  constructor(db: SqlDatabase, topics: QueueTopics, takers: QueueTakers, items: QueueItems) {
    this.#topics = topics;
    this.#takers = takers;
    this.#items = items;
    this.#ripen = db.prepare(
      `UPDATE delivery SET state = ${READY} WHERE taker = ? AND state IN (${DELAYED}, ${LEASED}) AND ord <= ?`,
    );
    this.#ready = db.prepare(
      `SELECT d.ord AS ord, d.seq AS seq, i.id AS id, d.key AS key, i.payload AS payload, i.pushed AS pushed,
        d.attempt AS attempt FROM delivery AS d JOIN item AS i ON i.seq = d.seq
        WHERE d.taker = ? AND d.state = ${READY} ORDER BY d.ord, d.seq LIMIT ?`,
    );
    this.#fresh = db.prepare(
      "SELECT seq, id, key, payload, pushed, due FROM item WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?",
    );
    this.#insert = db.prepare(
      "INSERT INTO delivery (taker, state, ord, seq, key, attempt) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#lease = db.prepare(
      `UPDATE delivery SET state = ${LEASED}, ord = ?, attempt = attempt + 1
        WHERE taker = ? AND state = ${READY} AND ord = ? AND seq = ?`,
    );
    this.#ofKey = db.prepare(
      "SELECT state, ord, seq FROM delivery WHERE taker = ? AND key = ? ORDER BY seq LIMIT 1",
    );
    this.#due = db.prepare("SELECT due FROM item WHERE seq = ?");
    this.#move = db.prepare(
      "UPDATE delivery SET state = ?, ord = ? WHERE taker = ? AND state = ? AND ord = ? AND seq = ? AND attempt = ?",
    );
    this.#remove = db.prepare(
      `DELETE FROM delivery WHERE taker = ? AND state = ${LEASED} AND ord = ? AND seq = ? AND attempt = ?`,
    );
    this.#isReady = db.prepare(`SELECT 1 FROM delivery WHERE taker = ? AND state = ${READY} LIMIT 1`);
    this.#next = db.prepare(
      `SELECT MIN(ord) AS next FROM (SELECT MIN(ord) AS ord FROM delivery WHERE taker = ?1 AND state = ${DELAYED}
        UNION ALL SELECT MIN(ord) FROM delivery WHERE taker = ?1 AND state = ${LEASED})`,
    );
    this.#count = db.prepare(
      `SELECT COUNT(*) AS items, SUM(state = ${LEASED} AND ord > ?) AS leased, MIN(seq) AS first FROM delivery
        WHERE taker = ?`,
    );
    this.#anywhere = db.prepare("SELECT 1 FROM delivery WHERE taker = ? AND seq = ?");
    this.#pushed = db.prepare("SELECT pushed FROM item WHERE seq = ?");
  }

  /** Takes what is due, what has been for longest first. */
  take(tx: Transaction, taker: Taker, max: number, until: number): Found {
    this.#ripen.run(taker.id, Math.floor(tx.now * 1000));
    const ready = this.#ready.all(taker.id, max);
    const end = seqOf(taker.topic, this.#topics.at(tx, taker.topic).next);
    const taken: Taken[] = [];
    let size = 0;
    let looked = 0;
    let cursor = taker.cursor;
    const isFull = (): boolean => taken.length >= max || size > SIZE;
    const hand = (item: Taken): void => {
      taken.push(item);
      size += item.payload.length;
    };
    const takeReady = (before: number): void => {
      while (!isFull() && ready.length > 0 && ready[0]!.ord <= before) {
        const { ord, ...item } = ready.shift()!;
        this.#lease.run(until, taker.id, ord, item.seq);
        hand({ ...item, attempt: item.attempt + 1 });
      }
    };
    scan: while (cursor + 1 < end && !isFull() && looked < LOOKS) {
      const fresh = this.#fresh.all(cursor, end, Math.min(SOME, max - taken.length));
      if (fresh.length === 0) break;
      for (const { due, ...item } of fresh) {
        const { seq, key } = item;
        if (due === null) takeReady(item.pushed);
        if (isFull()) break scan;
        cursor = seq;
        looked++;
        if (key !== null && this.#ofKey.get(taker.id, key) !== undefined) {
          this.#insert.run(taker.id, BLOCKED, seq, seq, key, 0);
        } else if (due === null) {
          this.#insert.run(taker.id, LEASED, until, seq, key, 1);
          hand({ ...item, attempt: 1 });
        } else {
          const isDue = due <= tx.now * 1000;
          this.#insert.run(taker.id, isDue ? READY : DELAYED, due, seq, key, 0);
          if (isDue) insertSorted(ready, { ...item, ord: due, attempt: 0 });
        }
      }
    }
    takeReady(Infinity);
    if (cursor > taker.cursor) this.#takers.move(taker.id, cursor);
    return { taken, more: taken.length === 0 && cursor + 1 < end };
  }

  /** Whether a pull may find something, and when there may be something that is not there yet. */
  look(taker: Taker, now: number): { readonly some: boolean; readonly next: number } {
    const next = (this.#next.get(taker.id)?.next ?? Infinity) / 1000;
    const some = taker.cursor < taker.last || next <= now ||
      this.#isReady.get(taker.id) !== undefined;
    return { some, next };
  }

  /** A group is done with what it holds until then; answers whether it held it. */
  finish(tx: Transaction, taker: number, until: number, { seq, key, attempt }: Taken): boolean {
    if (this.#remove.run(taker, until, seq, attempt).changes === 0) return false;
    this.#items.release(tx, seq);
    if (key !== null) this.#free(tx, taker, key);
    return true;
  }

  /** Whether a group has nothing more to do with an item. */
  isDone(taker: number, { seq }: Taken): boolean {
    return this.#anywhere.get(taker, seq) === undefined;
  }

  /** What is held is given back until it is due; answers whether it was held. */
  giveBack(tx: Transaction, taker: number, until: number, { seq, attempt }: Taken, delay: number): boolean {
    const [state, ord] = delay === 0 ? [READY, tx.tick()] : [DELAYED, micros(tx.now + delay)];
    return this.#move.run(state, ord, taker, LEASED, until, seq, attempt).changes !== 0;
  }

  /** What is held is held until another time; answers whether it was held. */
  extend(taker: number, until: number, { seq, attempt }: Taken, other: number): boolean {
    return this.#move.run(LEASED, other, taker, LEASED, until, seq, attempt).changes !== 0;
  }

  /** How many items a group has not done with, how many it holds, and when the oldest was pushed. */
  count(
    taker: Taker,
    now: number,
  ): { readonly items: number; readonly leased: number; readonly since: number } {
    const { items, leased, first } = this.#count.get(now * 1000, taker.id)!;
    const fresh = taker.last - taker.cursor;
    const oldest = this.#pushed.get(items === 0 ? taker.cursor + 1 : first)?.pushed;
    const all = items + fresh;
    return {
      items: all,
      leased: leased ?? 0,
      since: all === 0 || oldest === undefined ? now : oldest / 1000,
    };
  }

  /** The next one with this key is no longer held up. */
  #free(tx: Transaction, taker: number, key: string): void {
    const next = this.#ofKey.get(taker, key);
    if (next === undefined) return;
    const { due } = this.#due.get(next.seq)!;
    const [state, ord] = due !== null && due > tx.now * 1000 ? [DELAYED, due] : [READY, tx.tick()];
    this.#move.run(state, ord, taker, BLOCKED, next.ord, next.seq, 0);
    tx.told.add(areaOf(topicOf(next.seq)));
  }
}

function insertSorted(ready: Waiting[], item: Waiting): void {
  let at = ready.length;
  while (at > 0 && ready[at - 1]!.ord > item.ord) at--;
  ready.splice(at, 0, item);
}
