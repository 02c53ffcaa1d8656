import type { QueueItem } from "../../src/ports/queue.ts";
import { queueFull } from "../../src/ports/queue_faults.ts";
import type { SqlDatabase, SqlStatement, SqlValue } from "./driver.ts";
import { micros, type QueueTopics, seqOf, type Topic, topicOf } from "./queue_topics.ts";
import { toSql } from "./text.ts";
import type { Transaction } from "./transaction.ts";

/** How many names are looked at, beside two for each item that is pushed, to be forgotten. */
const SOME = 16;
/** How many rows one statement inserts where there are as many. */
const ROWS = 16;

/** What bounds the items of a queue. */
export interface ItemLimits {
  /** How many items, counted once for each group that has them. */
  readonly items: number;
  /** How many names of items that are done with are remembered. */
  readonly names: number;
  /** How long, in ms. */
  readonly window: number;
}

interface Oldest {
  readonly seq: number;
  readonly pushed: number;
  readonly refs: number;
}

/** The items of all topics, and the names of those that are done with. */
export class QueueItems {
  readonly #topics: QueueTopics;
  readonly #limits: ItemLimits;
  readonly #insert: SqlStatement<unknown>;
  readonly #insertRows: SqlStatement<unknown>;
  readonly #takeBack: SqlStatement<unknown>;
  readonly #named: SqlStatement<{ readonly seq: number; readonly pushed: number }>;
  readonly #retire: SqlStatement<unknown>;
  readonly #last: SqlStatement<unknown>;
  readonly #release: SqlStatement<unknown>;
  readonly #delete: SqlStatement<unknown>;
  readonly #oldest: SqlStatement<Oldest>;
  /** Until when a topic's oldest name is remembered. */
  readonly #until: Map<number, number> = new Map();

  constructor(db: SqlDatabase, topics: QueueTopics, limits: ItemLimits) {
    this.#topics = topics;
    this.#limits = limits;
    this.#insert = db.prepare(insertOf(1));
    this.#insertRows = db.prepare(insertOf(ROWS));
    this.#takeBack = db.prepare("DELETE FROM item WHERE seq >= ? AND seq < ?");
    this.#named = db.prepare("SELECT seq, pushed FROM item WHERE topic = ? AND id = ? AND era = 0");
    this.#retire = db.prepare("UPDATE item SET era = seq WHERE seq = ?");
    this.#last = db.prepare("UPDATE item SET refs = 0, payload = NULL WHERE seq = ? AND refs = 1");
    this.#release = db.prepare("UPDATE item SET refs = refs - 1 WHERE seq = ?");
    this.#delete = db.prepare("DELETE FROM item WHERE seq = ?");
    this.#oldest = db.prepare(
      "SELECT seq, pushed, refs FROM item WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?",
    );
  }

  /** Keeps items for so many groups: all or none. */
  push(tx: Transaction, topic: Topic, items: readonly QueueItem[], takers: number): void {
    if (tx.state.open + items.length * takers > this.#limits.items) {
      throw queueFull("push", `it keeps ${tx.state.open} items, and takes ${this.#limits.items}`);
    }
    this.#forget(tx, topic, 2 * items.length + SOME);
    let at = 0;
    for (; at + ROWS <= items.length; at += ROWS) this.#addRows(tx, topic, items, at, takers);
    for (; at < items.length; at++) this.#add(tx, topic, items[at]!, takers);
    tx.told.add(topic.area);
  }

  /** A group is done with an item. */
  release(tx: Transaction, seq: number): void {
    tx.state.open--;
    if (this.#last.run(seq).changes === 0) this.#release.run(seq);
    else if (seq < seqOf(topicOf(seq), this.#topics.at(tx, topicOf(seq)).floor)) this.#delete.run(seq);
    else tx.state.done++;
  }

  #add(tx: Transaction, topic: Topic, item: QueueItem, takers: number): void {
    const values: SqlValue[] = [topic.id, takers];
    addValues(values, tx, seqOf(topic.id, topic.next), item);
    if (this.#insert.run(...values).changes === 0) {
      const first = this.#named.get(topic.id, toSql(item.id))!;
      if (first.pushed / 1000 + this.#limits.window > tx.now) return;
      this.#retire.run(first.seq);
      this.#insert.run(...values);
    }
    topic.next++;
    tx.state.open += takers;
  }

  /** Adds as many as one statement inserts; one by one where a name is there already, as no number may be left out. */
  #addRows(tx: Transaction, topic: Topic, items: readonly QueueItem[], from: number, takers: number): void {
    const first = seqOf(topic.id, topic.next);
    const values: SqlValue[] = [topic.id, takers];
    for (let row = 0; row < ROWS; row++) addValues(values, tx, first + row, items[from + row]!);
    if (Number(this.#insertRows.run(...values).changes) === ROWS) {
      topic.next += ROWS;
      tx.state.open += takers * ROWS;
      return;
    }
    this.#takeBack.run(first, first + ROWS);
    for (let row = 0; row < ROWS; row++) this.#add(tx, topic, items[from + row]!, takers);
  }

  /** Forgets names whose window is over, and old ones where there are too many. */
  #forget(tx: Transaction, topic: Topic, most: number): void {
    if (tx.state.done > this.#limits.names) this.#clear(tx, this.#older(tx, topic), most);
    else if (tx.now >= (this.#until.get(topic.id) ?? 0)) this.#clear(tx, topic, most);
  }

  #clear(tx: Transaction, topic: Topic, most: number): void {
    const { names, window } = this.#limits;
    let { floor } = topic;
    for (const { seq, pushed, refs } of this.#first(topic, most)) {
      const until = pushed / 1000 + window;
      this.#until.set(topic.id, until);
      if (tx.state.done <= names && until > tx.now) break;
      if (refs === 0) {
        this.#delete.run(seq);
        tx.state.done--;
      }
      floor = seq - seqOf(topic.id, 0) + 1;
    }
    if (floor > topic.floor) this.#topics.raise(topic, floor);
  }

  /** The one with the older name of this topic and another, a different one each time. */
  #older(tx: Transaction, topic: Topic): Topic {
    let other = this.#topics.next(tx);
    if (other === topic) other = this.#topics.next(tx);
    const [mine, its] = [topic, other].map((each) => this.#first(each, 1)[0]?.pushed ?? Infinity) as [
      number,
      number,
    ];
    return mine <= its ? topic : other;
  }

  #first({ id, floor, next }: Topic, most: number): Oldest[] {
    return this.#oldest.all(seqOf(id, floor), seqOf(id, next), most);
  }
}

/** Inserts rows of a topic (`?1`) for so many groups (`?2`). */
function insertOf(rows: number): string {
  const values = Array.from({ length: rows }, (_, row) => {
    const [seq, id, key, payload, pushed, due] = [3, 4, 5, 6, 7, 8].map((at) => `?${6 * row + at}`);
    return `(${seq}, ?1, ${id}, 0, ${key}, ${payload}, ${pushed}, ${due}, ?2)`;
  });
  return `INSERT INTO item (seq, topic, id, era, key, payload, pushed, due, refs) VALUES ${values.join(", ")}
    ON CONFLICT DO NOTHING`;
}

function addValues(
  values: SqlValue[],
  tx: Transaction,
  seq: number,
  { id, key, payload, delay }: QueueItem,
): void {
  values.push(
    seq,
    toSql(id),
    key === undefined ? null : toSql(key),
    typeof payload === "string" ? toSql(payload) : payload,
    tx.tick(),
    delay === undefined || delay === 0 ? null : micros(tx.now + delay),
  );
}
