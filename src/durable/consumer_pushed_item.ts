import { CatgaError, systemFault } from "../result.ts";
import type { Delivery } from "../ports/queue.ts";
import type { Frame } from "../ports/transport.ts";
import type { PushedDelivery } from "./consumer_pushed.ts";

/** A delivery whose queue is told by whoever brought it. */
export class PushedInHands implements Delivery {
  readonly id: string;
  readonly key: string | undefined;
  readonly payload: Frame;
  readonly attempt: number;
  readonly pushed: number;
  /** After how long it is to be brought again, in ms, once it was put back. */
  delay: number | undefined;

  constructor({ id, key, payload, attempt, pushed }: PushedDelivery) {
    this.id = id;
    this.key = key;
    this.payload = payload;
    this.attempt = attempt;
    this.pushed = pushed;
  }

  ack(): Promise<void> {
    return Promise.resolve();
  }

  retry(delay: number): Promise<void> {
    this.delay = delay;
    return Promise.resolve();
  }

  /** Who brought it waits no longer than it said. */
  extend(): Promise<void> {
    const message = `Cannot hold "${this.id}": who brought it cannot be asked to wait longer`;
    return Promise.reject(new CatgaError(systemFault("UNAVAILABLE", message)));
  }
}
