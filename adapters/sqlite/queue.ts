import type {
  Delivery,
  PullOptions,
  Queue,
  QueueBacklog,
  QueueItem,
  QueueOptions,
  SubscribeOptions,
} from "../../src/ports/queue.ts";
import {
  checkGroup,
  checkIdle,
  checkPull,
  checkPush,
  noGroup,
  queueCancelled,
  queueFull,
} from "../../src/ports/queue_faults.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { SqliteDelivery } from "./delivery.ts";
import type { Ledger } from "./ledger.ts";
import { Waiter } from "./pulse.ts";
import { QueueDeliveries } from "./queue_deliveries.ts";
import { type ItemLimits, QueueItems } from "./queue_items.ts";
import { QueuePurge } from "./queue_purge.ts";
import { QueueTakers, slackOf, type Taker } from "./queue_takers.ts";
import { areaOf, micros, QueueTopics } from "./queue_topics.ts";
import { refusal } from "./refusal.ts";
import type { Transaction } from "./transaction.ts";

/** How many may wait for items at a time, in this process. */
const WAITS = 10_000;
/** How much of what ended groups had a push takes away before it finds that there is no room. */
const PURGES = 4;
/** The shortest time before an item that should be due is looked for again, in ms. */
const SHORTEST = 1;

/** The queue of a file. */
export class SqliteQueue implements Queue {
  readonly ordered = true;
  readonly window: number;
  readonly ledger: Ledger;
  readonly takers: QueueTakers;
  readonly deliveries: QueueDeliveries;
  readonly #clock: Pick<Clock, "mono" | "timer">;
  readonly #limits: ItemLimits;
  readonly #topics: QueueTopics;
  readonly #items: QueueItems;
  readonly #purge: QueuePurge;
  #waiting = 0;

  constructor(ledger: Ledger, clock: Pick<Clock, "mono" | "timer">, limits: ItemLimits) {
    const { db } = ledger;
    this.window = limits.window;
    this.ledger = ledger;
    this.#clock = clock;
    this.#limits = limits;
    this.#topics = new QueueTopics(db);
    this.takers = new QueueTakers(db, this.#topics);
    this.#items = new QueueItems(db, this.#topics, limits);
    this.deliveries = new QueueDeliveries(db, this.#topics, this.takers, this.#items);
    this.#purge = new QueuePurge(db, this.#items);
  }

  push(topic: string, items: readonly QueueItem[], { signal }: QueueOptions = {}): Promise<void> {
    const refused = refusal(() => checkPush(topic, items));
    if (refused !== undefined) return refused;
    let size = 0;
    for (const { payload } of items) size += payload.length;
    const own = items.map(owned);
    return this.ledger.write(`push to "${topic}"`, signal, (tx) => {
      const found = this.#topics.find(tx, topic);
      if (found === undefined) return;
      const takers = this.takers.count(tx, found);
      if (takers === 0) return;
      for (
        let times = 0;
        times < PURGES && tx.state.open + own.length * takers > this.#limits.items;
        times++
      ) {
        if (!this.#purge.run(tx)) break;
      }
      this.#items.push(tx, found, own, takers);
    }, size);
  }

  async subscribe(topic: string, name: string, { idle, signal }: SubscribeOptions = {}): Promise<void> {
    checkGroup(topic, name);
    checkIdle(name, idle);
    await this.ledger.write(`subscribe "${name}" to "${topic}"`, signal, (tx) => {
      this.takers.begin(tx, topic, name, idle);
      this.#purge.run(tx);
    });
  }

  async unsubscribe(topic: string, name: string, { signal }: QueueOptions = {}): Promise<void> {
    checkGroup(topic, name);
    const ended = await this.ledger.free(`unsubscribe "${name}" from "${topic}"`, signal, (tx) => {
      const found = this.takers.find(topic, name, tx.now);
      if (found !== undefined) this.takers.end(tx, found.id, this.#topics.at(tx, found.topic));
      return this.#purge.run(tx);
    });
    if (ended) this.#purgeOn();
  }

  async pull(topic: string, name: string, options: PullOptions): Promise<readonly Delivery[]> {
    checkPull(topic, name, options);
    const { wait = 0, signal } = options;
    const until = this.#clock.mono() + wait;
    let waiter: Waiter | undefined;
    try {
      for (;;) {
        const { taken, next, taker, more } = await this.#take(topic, name, options);
        if (taken.length > 0) return taken;
        const left = until - this.#clock.mono();
        if (more) continue;
        if (left <= 0) return [];
        if (waiter === undefined) {
          waiter = this.#waiter(topic, name, taker.topic);
          continue;
        }
        const due = Math.max(next - this.ledger.clock.now(), SHORTEST);
        await waiter.wait(Math.min(left, due, (taker.idle ?? Infinity) / 2), signal);
        if (signal?.aborted) throw queueCancelled(`pull "${name}" of "${topic}"`);
      }
    } finally {
      if (waiter !== undefined) {
        waiter.close();
        this.#waiting--;
      }
    }
  }

  async backlog(topic: string, name: string, { signal }: QueueOptions = {}): Promise<QueueBacklog> {
    checkGroup(topic, name);
    return await this.ledger.read(`look at "${name}" of "${topic}"`, signal, (now) => {
      const { items, leased, since } = this.deliveries.count(this.#find(topic, name, now), now);
      return { items, leased, age: Math.max(0, now - since) };
    });
  }

  /** Takes what there is; writes only where there is something, or somebody is to be seen. */
  async #take(topic: string, name: string, { max, lease, signal }: PullOptions): Promise<{
    readonly taken: readonly Delivery[];
    readonly more: boolean;
    readonly next: number;
    readonly taker: Taker;
  }> {
    const what = `pull "${name}" of "${topic}"`;
    const { taker, some, next, isSeen } = await this.ledger.read(what, signal, (now) => {
      const taker = this.#find(topic, name, now);
      const isSeen = taker.idle === null || now - taker.seen < slackOf(taker.idle);
      return { taker, isSeen, ...this.deliveries.look(taker, now) };
    });
    if (!some && isSeen) return { taken: [], more: false, next, taker };
    const { taken, more } = await this.ledger.free(what, signal, (tx) => {
      const taker = this.#find(topic, name, tx.now);
      const until = micros(tx.now + lease);
      const found = this.deliveries.take(tx, taker, max, until);
      if (taker.idle !== null) this.takers.see(taker.id, found.taken.length > 0 ? tx.now + lease : tx.now);
      const taken = found.taken.map((each) => new SqliteDelivery(this, taker.id, each, until));
      return { taken, more: found.more };
    });
    return { taken, more, next, taker };
  }

  #find(topic: string, name: string, now: number): Taker {
    const found = this.takers.find(topic, name, now);
    if (found === undefined) throw noGroup(topic, name);
    return found;
  }

  #waiter(topic: string, name: string, id: number): Waiter {
    if (this.#waiting >= WAITS) {
      throw queueFull(`wait for "${name}" of "${topic}"`, `${WAITS} wait already, as many as may`);
    }
    this.#waiting++;
    return new Waiter(this.ledger.pulse, areaOf(id), this.#clock);
  }

  /** Goes on taking away, so that others get the file in between. */
  #purgeOn(): void {
    const what = "take away what ended groups had";
    this.ledger.free(what, undefined, (tx: Transaction) => this.#purge.run(tx)).then(
      (more) => more ? this.#purgeOn() : undefined,
      // What is left is taken away by who ends the next one.
      () => {},
    );
  }
}

/** An item that its giver can no longer change. */
function owned(item: QueueItem): QueueItem {
  return typeof item.payload === "string" ? item : { ...item, payload: item.payload.slice() };
}
