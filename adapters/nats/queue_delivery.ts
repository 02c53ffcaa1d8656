import type { Delivery } from "../../src/ports/queue.ts";
import { checkDelay, checkLease } from "../../src/ports/queue_faults.ts";
import type { Frame } from "../../src/ports/transport.ts";
import { bytesOf, decodeBody, type QueueBody } from "./queue_body.ts";
import type { Settlement } from "./queue_stock.ts";
import type { HandedItem } from "./queue_wire.ts";

/** What deliveries need of their group. */
export interface DeliveryHost {
  settle(delivery: NatsDelivery, settlement: Settlement): Promise<void>;
}

/** An item in somebody's hands. */
export class NatsDelivery implements Delivery {
  readonly id: string;
  readonly key: string | undefined;
  readonly payload: Frame;
  readonly attempt: number;
  readonly pushed: number;
  /** Its place in the stream, and where it is acknowledged. */
  readonly sequence: number;
  readonly subject: string;
  /** Which of the groups that had its name it came from. */
  readonly born: string;
  /** Until when it is held at most, by the monotonic clock. */
  until: number;
  /** Whether it is done with, for certain. */
  done: boolean = false;
  readonly #host: DeliveryHost;

  constructor(
    host: DeliveryHost,
    born: string,
    { sequence, ack, attempt, pushed, body }: HandedItem,
    until: number,
    { id, key, text }: Omit<QueueBody, "delay"> = decodeBody(body)!,
  ) {
    this.id = id;
    this.key = key;
    this.payload = text ?? bytesOf(body);
    this.attempt = attempt;
    this.pushed = Math.floor(pushed);
    this.sequence = sequence;
    this.subject = ack;
    this.born = born;
    this.until = until;
    this.#host = host;
  }

  ack(): Promise<void> {
    return this.done ? Promise.resolve() : this.#settle("ack", 0);
  }

  async retry(delay: number): Promise<void> {
    checkDelay(`give back "${this.id}"`, "delay", delay);
    await this.#settle("retry", delay);
  }

  async extend(lease: number): Promise<void> {
    checkLease(`hold "${this.id}"`, "lease", lease);
    await this.#settle("extend", lease);
  }

  #settle(verb: Settlement["verb"], ms: number): Promise<void> {
    const { sequence, subject: ack, attempt, id, key } = this;
    return this.#host.settle(this, { verb, sequence, ack, attempt, id, key, ms });
  }
}
