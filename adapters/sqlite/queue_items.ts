import type { QueueItem } from "../../src/ports/queue.ts";
import { queueFull } from "../../src/ports/queue_faults.ts";
import type { SqlDatabase, SqlStatement } from "./driver.ts";
import { micros, type QueueTopics, seqOf, type Topic, topicOf } from "./queue_topics.ts";
import { toSql } from "./text.ts";
import type { Transaction } from "./transaction.ts";

/** How many names are looked at, beside two for each item that is pushed, to be forgotten. */
const SOME = 16;

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
    this.#insert = db.prepare(
      `INSERT INTO item (seq, topic, id, era, key, payload, pushed, due, refs) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?)
        ON CONFLICT DO NOTHING`,
    );
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
    for (const item of items) this.#add(tx, topic, item, takers);
    tx.told.add(topic.area);
  }

  /** A group is done with an item. */
  release(tx: Transaction, seq: number): void {
    tx.state.open--;
    if (this.#last.run(seq).changes === 0) this.#release.run(seq);
    else if (seq < seqOf(topicOf(seq), this.#topics.at(tx, topicOf(seq)).floor)) this.#delete.run(seq);
    else tx.state.done++;
  }

  #add(tx: Transaction, topic: Topic, { id, key, payload, delay }: QueueItem, takers: number): void {
    const pushed = tx.tick();
    const due = delay === undefined || delay === 0 ? null : micros(tx.now + delay);
    const insert = (): boolean =>
      this.#insert.run(
        seqOf(topic.id, topic.next),
        topic.id,
        toSql(id),
        key === undefined ? null : toSql(key),
        typeof payload === "string" ? toSql(payload) : payload,
        pushed,
        due,
        takers,
      ).changes !== 0;
    if (!insert()) {
      const first = this.#named.get(topic.id, toSql(id))!;
      if (first.pushed / 1000 + this.#limits.window > tx.now) return;
      this.#retire.run(first.seq);
      insert();
    }
    topic.next++;
    tx.state.open += takers;
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
