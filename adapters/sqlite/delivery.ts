import type { Delivery } from "../../src/ports/queue.ts";
import { checkDelay, checkLease, leaseOver } from "../../src/ports/queue_faults.ts";
import type { Frame } from "../../src/ports/transport.ts";
import type { Ledger } from "./ledger.ts";
import type { QueueDeliveries, Taken } from "./queue_deliveries.ts";
import type { QueueTakers } from "./queue_takers.ts";
import { micros, topicOf } from "./queue_topics.ts";
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
  /** Until when it is held, in µs; by this and the attempt it is known again. */
  #until: number;
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
    this.#until = until;
  }

  async ack(): Promise<void> {
    if (this.#done) return;
    const { ledger, takers, deliveries } = this.#host;
    await ledger.write(`acknowledge "${this.id}"`, undefined, (tx) => {
      if (this.#isHeld(tx) && deliveries.finish(tx, this.#taker, this.#until, this.#taken)) return;
      const isOver = this.#done || !takers.lives(this.#taker) || deliveries.isDone(this.#taker, this.#taken);
      if (!isOver) throw leaseOver("acknowledge", this.id);
    });
    this.#done = true;
  }

  retry(delay: number): Promise<void> {
    return this.#change("give back", () => checkDelay(`give back "${this.id}"`, "delay", delay), (tx) => {
      tx.told.add(`queue ${topicOf(this.#taken.seq)}`);
      return this.#host.deliveries.giveBack(tx, this.#taker, this.#until, this.#taken, delay);
    });
  }

  async extend(lease: number): Promise<void> {
    const { takers, deliveries } = this.#host;
    const before = this.#until;
    try {
      await this.#change("hold", () => checkLease(`hold "${this.id}"`, "lease", lease), (tx) => {
        const until = micros(tx.now + lease);
        if (!deliveries.extend(this.#taker, this.#until, this.#taken, until)) return false;
        this.#until = until;
        tx.told.add(`queue ${topicOf(this.#taken.seq)}`);
        takers.see(this.#taker, tx.now + lease);
        return true;
      });
    } catch (thrown) {
      this.#until = before;
      throw thrown;
    }
  }

  async #change(verb: string, check: () => void, change: (tx: Transaction) => boolean): Promise<void> {
    check();
    const { ledger, takers } = this.#host;
    await ledger.write(`${verb} "${this.id}"`, undefined, (tx) => {
      if (!takers.lives(this.#taker) || !this.#isHeld(tx) || !change(tx)) throw leaseOver(verb, this.id);
    });
  }

  #isHeld(tx: Transaction): boolean {
    return this.#until > tx.now * 1000;
  }
}
