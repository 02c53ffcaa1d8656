import type { Delivery } from "../../src/ports/queue.ts";
import { checkDelay, checkLease, leaseOver } from "../../src/ports/queue_faults.ts";
import type { Frame } from "../../src/ports/transport.ts";
import type { Ledger } from "./ledger.ts";
import type { QueueDeliveries, Taken } from "./queue_deliveries.ts";
import type { QueueTakers } from "./queue_takers.ts";
import { areaOf, micros, topicOf } from "./queue_topics.ts";
import { fromSql } from "./text.ts";
import type { Transaction } from "./transaction.ts";

/** What deliveries need of their queue. */
export interface DeliveryHost {
  readonly ledger: Ledger;
  readonly takers: QueueTakers;
  readonly deliveries: QueueDeliveries;
}

/** An item in somebody's hands. */
export class SqliteDelivery implements Delivery {
  readonly id: string;
  readonly key: string | undefined;
  readonly payload: Frame;
  readonly attempt: number;
  readonly pushed: number;
  readonly #host: DeliveryHost;
  readonly #taker: number;
  readonly #taken: Taken;
  /** Until when it is held, in µs, by what was asked for last; by this and the attempt it is known again. */
  #until: number;
  /** The same, by what is certain. */
  #sure: number;
  #done = false;

  constructor(host: DeliveryHost, taker: number, taken: Taken, until: number) {
    const { id, key, payload, attempt, pushed } = taken;
    this.id = fromSql(id);
    this.key = key === null ? undefined : fromSql(key);
    this.payload = typeof payload === "string" ? fromSql(payload) : payload;
    this.attempt = attempt;
    this.pushed = Math.floor(pushed / 1000);
    this.#host = host;
    this.#taker = taker;
    this.#taken = taken;
    this.#until = this.#sure = until;
  }

  async ack(): Promise<void> {
    if (this.#done) return;
    const { ledger, takers, deliveries } = this.#host;
    await ledger.free(`acknowledge "${this.id}"`, undefined, (tx) => {
      if (this.#held(tx, (until) => deliveries.finish(tx, this.#taker, until, this.#taken))) return;
      const isOver = this.#done || !takers.lives(this.#taker) || deliveries.isDone(this.#taker, this.#taken);
      if (!isOver) throw leaseOver("acknowledge", this.id);
    });
    this.#done = true;
  }

  async retry(delay: number): Promise<void> {
    checkDelay(`give back "${this.id}"`, "delay", delay);
    const { deliveries } = this.#host;
    await this.#change(
      "give back",
      (tx, until) => deliveries.giveBack(tx, this.#taker, until, this.#taken, delay),
    );
  }

  async extend(lease: number): Promise<void> {
    checkLease(`hold "${this.id}"`, "lease", lease);
    const { takers, deliveries } = this.#host;
    let other = 0;
    await this.#change("hold", (tx, until) => {
      other = micros(tx.now + lease);
      if (!deliveries.extend(this.#taker, until, this.#taken, other)) return false;
      this.#until = other;
      takers.see(this.#taker, tx.now + lease);
      return true;
    });
    this.#sure = other;
  }

  async #change(verb: string, change: (tx: Transaction, until: number) => boolean): Promise<void> {
    const { ledger, takers } = this.#host;
    await ledger.free(`${verb} "${this.id}"`, undefined, (tx) => {
      const done = takers.lives(this.#taker) && this.#held(tx, (until) => change(tx, until));
      if (!done) throw leaseOver(verb, this.id);
      tx.told.add(areaOf(topicOf(this.#taken.seq)));
    });
  }

  /** Tries it by what was asked for last, which may have come to nothing, then by what is certain. */
  #held(tx: Transaction, change: (until: number) => boolean): boolean {
    return [this.#until, this.#sure].some((until) => until > tx.now * 1000 && change(until));
  }
}
