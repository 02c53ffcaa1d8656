import { queueFull } from "../../src/ports/queue_faults.ts";
import type { SqlDatabase, SqlStatement } from "./driver.ts";
import { toSql } from "./text.ts";
import type { Transaction } from "./transaction.ts";

/** How many topics there may be. */
const TOPICS = 10_000;
/** How many items a topic has room for in the order of all items. */
export const SPAN: number = 2 ** 36;

/** A topic as it is known while nobody else writes. */
export interface Topic {
  readonly id: number;
  /** What those listen to who wait for its items. */
  readonly area: string;
  /** The number of the next item, from 1. */
  next: number;
  /** All items below this one that are done with are gone. */
  floor: number;
  /** How many groups it has; looked up when it is asked for. */
  takers: number | undefined;
  /** Some of its groups end when they are idle. */
  isLimited: boolean;
}

/** The place of a topic's item among all items. */
export function seqOf(topic: number, n: number): number {
  return topic * SPAN + n;
}

/** A time in µs, never before it. */
export function micros(ms: number): number {
  return Math.min(Math.ceil(ms * 1000), Number.MAX_SAFE_INTEGER);
}

/** What those listen to who wait for items of a topic. */
export function areaOf(topic: number): string {
  return `queue ${topic}`;
}

/** The topic of an item. */
export function topicOf(seq: number): number {
  return Math.floor(seq / SPAN);
}

/** Topics, read anew when others have written. */
export class QueueTopics {
  readonly #byName: Map<string, Topic> = new Map();
  readonly #byId: Map<number, Topic> = new Map();
  readonly #named: SqlStatement<{ readonly id: number }>;
  readonly #floor: SqlStatement<{ readonly floor: number }>;
  readonly #last: SqlStatement<{ readonly last: number | null }>;
  readonly #count: SqlStatement<{ readonly count: number }>;
  readonly #unused: SqlStatement<unknown>;
  readonly #free: SqlStatement<{ readonly id: number }>;
  readonly #after: SqlStatement<{ readonly id: number }>;
  readonly #insert: SqlStatement<unknown>;
  readonly #raise: SqlStatement<unknown>;
  #turn = 0;
  #tx: Transaction | undefined;

  constructor(db: SqlDatabase) {
    this.#named = db.prepare("SELECT id FROM topic WHERE name = ?");
    this.#floor = db.prepare("SELECT floor FROM topic WHERE id = ?");
    this.#last = db.prepare("SELECT MAX(seq) AS last FROM item WHERE seq >= ? AND seq < ?");
    this.#count = db.prepare("SELECT COUNT(*) AS count FROM topic");
    this.#unused = db.prepare(
      `DELETE FROM topic WHERE NOT EXISTS (SELECT 1 FROM taker WHERE taker.topic = topic.id) AND NOT EXISTS
        (SELECT 1 FROM item WHERE seq >= topic.id * ${SPAN} AND seq < (topic.id + 1) * ${SPAN})`,
    );
    this.#free = db.prepare(
      `SELECT id + 1 AS id FROM (SELECT 0 AS id UNION ALL SELECT id FROM topic) AS used
        WHERE NOT EXISTS (SELECT 1 FROM topic WHERE topic.id = used.id + 1) ORDER BY id LIMIT 1`,
    );
    this.#after = db.prepare("SELECT id FROM topic WHERE id > ? ORDER BY id LIMIT 1");
    this.#insert = db.prepare("INSERT INTO topic (id, name, floor) VALUES (?, ?, 1)");
    this.#raise = db.prepare("UPDATE topic SET floor = ? WHERE id = ?");
  }

  find(tx: Transaction, name: string): Topic | undefined {
    this.#enter(tx);
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const row = this.#named.get(toSql(name));
    if (row === undefined) return undefined;
    const topic = this.at(tx, row.id);
    this.#byName.set(name, topic);
    return topic;
  }

  at(tx: Transaction, id: number): Topic {
    this.#enter(tx);
    let topic = this.#byId.get(id);
    if (topic === undefined) {
      const { floor } = this.#floor.get(id)!;
      const next = Math.max(floor, this.#lastOf(id) + 1);
      this.#byId.set(id, topic = { id, area: areaOf(id), next, floor, takers: undefined, isLimited: false });
    }
    return topic;
  }

  /** The topic, made if it is not there. */
  make(tx: Transaction, name: string): Topic {
    const found = this.find(tx, name);
    if (found !== undefined) return found;
    if (this.#count.get()!.count >= TOPICS) {
      if (this.#unused.run().changes === 0) {
        throw queueFull(
          `begin the topic "${name}"`,
          `there are ${TOPICS} topics, as many as the queue takes`,
        );
      }
      this.#forget();
    }
    this.#insert.run(this.#free.get()!.id, toSql(name));
    return this.find(tx, name)!;
  }

  /** One after the other, whenever it is asked for; there must be one. */
  next(tx: Transaction): Topic {
    const row = this.#after.get(this.#turn) ?? this.#after.get(0)!;
    this.#turn = row.id;
    return this.at(tx, row.id);
  }

  /** No item below this one is there for its name alone. */
  raise(topic: Topic, floor: number): void {
    topic.floor = floor;
    this.#raise.run(floor, topic.id);
  }

  /** The number of the last item of a topic that is there. */
  #lastOf(id: number): number {
    const last = this.#last.get(seqOf(id, 0), seqOf(id + 1, 0))?.last;
    return last === null || last === undefined ? 0 : last - seqOf(id, 0);
  }

  #enter(tx: Transaction): void {
    if (this.#tx === tx) return;
    this.#tx = tx;
    if (!tx.goesOn) this.#forget();
  }

  #forget(): void {
    this.#byName.clear();
    this.#byId.clear();
  }
}
