import { queueFull } from "../../src/ports/queue_faults.ts";
import type { SqlDatabase, SqlStatement } from "./driver.ts";
import { type QueueTopics, seqOf, SPAN, type Topic } from "./queue_topics.ts";
import { toSql } from "./text.ts";
import type { Transaction } from "./transaction.ts";

/** How many groups there may be. */
const GROUPS = 10_000;
/** That somebody is there is written down each time this part of `idle` is over, and each so many ms at least. */
const PART = 0.05;
const MOST = 1000;

/** A group as it is kept. */
export interface Taker {
  readonly id: number;
  readonly topic: number;
  /** How long nobody may be seen before it ends, in ms; `null`: for ever. */
  readonly idle: number | null;
  /** When somebody was seen last, or will have been. */
  readonly seen: number;
  /** The last item that it has looked at. */
  readonly cursor: number;
  /** The last item that there is for it, also of those that it has looked at. */
  readonly last: number;
}

/** How long somebody may be there before that is written down, in ms. */
export function slackOf(idle: number): number {
  return Math.min(idle * PART, MOST);
}

/** Whether nobody was seen for too long. */
export function isIdle({ idle, seen }: Pick<Taker, "idle" | "seen">, now: number): boolean {
  return idle !== null && seen + idle + slackOf(idle) <= now;
}

/** The groups of all topics. */
export class QueueTakers {
  readonly #topics: QueueTopics;
  readonly #find: SqlStatement<Taker>;
  readonly #lives: SqlStatement<unknown>;
  readonly #count: SqlStatement<{ readonly count: number }>;
  readonly #limited: SqlStatement<{ readonly id: number; readonly idle: number; readonly seen: number }>;
  readonly #all: SqlStatement<{ readonly count: number }>;
  readonly #insert: SqlStatement<unknown>;
  readonly #setIdle: SqlStatement<unknown>;
  readonly #setSeen: SqlStatement<unknown>;
  readonly #setCursor: SqlStatement<unknown>;
  readonly #end: SqlStatement<unknown>;

  constructor(db: SqlDatabase, topics: QueueTopics) {
    this.#topics = topics;
    this.#find = db.prepare(
      `SELECT taker.id AS id, topic.id AS topic, idle, seen, cursor, MAX(cursor, COALESCE((SELECT seq FROM item
        WHERE seq < (topic.id + 1) * ${SPAN} ORDER BY seq DESC LIMIT 1), 0)) AS last FROM topic
        JOIN taker ON taker.topic = topic.id WHERE topic.name = ? AND taker.name = ?`,
    );
    this.#lives = db.prepare("SELECT 1 FROM taker WHERE id = ? AND name IS NOT NULL");
    this.#count = db.prepare("SELECT COUNT(*) AS count FROM taker WHERE topic = ? AND name IS NOT NULL");
    this.#limited = db.prepare(
      "SELECT id, idle, seen FROM taker WHERE topic = ? AND name IS NOT NULL AND idle IS NOT NULL",
    );
    this.#all = db.prepare("SELECT COUNT(*) AS count FROM taker");
    this.#insert = db.prepare("INSERT INTO taker (topic, name, idle, seen, cursor) VALUES (?, ?, ?, ?, ?)");
    this.#setIdle = db.prepare("UPDATE taker SET idle = ?, seen = MAX(seen, ?) WHERE id = ?");
    this.#setSeen = db.prepare("UPDATE taker SET seen = MAX(seen, ?) WHERE id = ?");
    this.#setCursor = db.prepare("UPDATE taker SET cursor = ? WHERE id = ?");
    this.#end = db.prepare("UPDATE taker SET name = NULL, until = ? WHERE id = ?");
  }

  /** A group that has not ended. */
  find(topic: string, name: string, now: number): Taker | undefined {
    const found = this.#find.get(toSql(topic), toSql(name));
    return found === undefined || isIdle(found, now) ? undefined : found;
  }

  /** Whether a group has not ended. */
  lives(id: number): boolean {
    return this.#lives.get(id) !== undefined;
  }

  /** Begins a group; one that is there is only asked for. */
  begin(tx: Transaction, topicName: string, name: string, idle: number | undefined): void {
    const topic = this.#topics.make(tx, topicName);
    this.endIdle(tx, topic);
    const found = this.#find.get(toSql(topicName), toSql(name));
    topic.takers = undefined;
    if (found !== undefined) {
      this.#setIdle.run(idle ?? null, tx.now, found.id);
      return;
    }
    if (this.#all.get()!.count >= GROUPS) {
      throw queueFull(`subscribe "${name}"`, `there are ${GROUPS} groups, as many as the queue takes`);
    }
    this.#insert.run(topic.id, toSql(name), idle ?? null, tx.now, seqOf(topic.id, topic.next - 1));
  }

  /** How many groups a topic has now. */
  count(tx: Transaction, topic: Topic): number {
    if (topic.takers === undefined || topic.isLimited) {
      this.endIdle(tx, topic);
      topic.takers ??= this.#count.get(topic.id)!.count;
    }
    return topic.takers;
  }

  /** Somebody is there, or will have been until then. */
  see(id: number, time: number): void {
    this.#setSeen.run(time, id);
  }

  move(id: number, cursor: number): void {
    this.#setCursor.run(cursor, id);
  }

  /** Ends a group; what it had is taken away later. */
  end(tx: Transaction, id: number, topic: Topic): void {
    this.#end.run(seqOf(topic.id, topic.next), id);
    topic.takers = undefined;
    tx.state.ended++;
    tx.told.add(topic.area);
  }

  /** Ends those that nobody has asked for. */
  endIdle(tx: Transaction, topic: Topic): void {
    const limited = this.#limited.all(topic.id);
    topic.isLimited = limited.length > 0;
    for (const taker of limited) {
      if (isIdle(taker, tx.now)) this.end(tx, taker.id, topic);
    }
  }
}
