import { fromBase64, toBase64 } from "../../src/internal/base64.ts";
import type { Delivery, QueueItem } from "../../src/ports/queue.ts";
import { checkDelay, checkLease, leaseOver } from "../../src/ports/queue_faults.ts";
import type { Frame } from "../../src/ports/transport.ts";
import type { QueueAcks } from "./queue_acks.ts";
import { EXTEND, RETRY } from "./queue_scripts_items.ts";
import type { Script } from "./scripts.ts";
import type { Reply } from "./wire.ts";

/** An item as a script answers it. */
export type TakenRow = readonly [item: string, id: string, payload: string, key: string, attempt: number];

/** What a delivery needs of its group. */
export interface DeliveryGroup {
  readonly tag: string;
  /** The number of this life of the group. */
  readonly number: string;
  readonly acks: QueueAcks;
  run(script: Script, args: readonly (string | number)[]): Promise<Reply>;
  /** There may be something to take in so many ms. */
  expect(ms: number): void;
}

/** What a push sends of an item. */
export function pushedRow({ id, key, payload, delay = 0 }: QueueItem): (string | number)[] {
  const text = typeof payload === "string" ? `t${payload}` : `b${toBase64(payload)}`;
  return [id, key === undefined ? "" : `k${key}`, text, delay];
}

/** An item in somebody's hands. */
export class RedisDelivery implements Delivery {
  readonly id: string;
  readonly key: string | undefined;
  readonly payload: Frame;
  readonly attempt: number;
  readonly pushed: number;
  readonly #group: DeliveryGroup;
  readonly #row: TakenRow;
  #done = false;

  constructor(group: DeliveryGroup, row: TakenRow) {
    const [item, id, payload, key, attempt] = row;
    this.id = id;
    this.key = key === "" ? undefined : key.slice(1);
    this.payload = payload.startsWith("t") ? payload.slice(1) : fromBase64(payload.slice(1));
    this.attempt = attempt;
    this.pushed = Math.floor(Number(item) / 1000);
    this.#group = group;
    this.#row = row;
  }

  async ack(): Promise<void> {
    if (this.#done) return;
    const [item, , , key, attempt] = this.#row;
    if (!await this.#group.acks.add(this.#group, item, attempt, key)) throw leaseOver("acknowledge", this.id);
    this.#done = true;
  }

  async retry(delay: number): Promise<void> {
    checkDelay(`give back "${this.id}"`, "delay", delay);
    await this.#change(RETRY, "give back", delay);
  }

  async extend(lease: number): Promise<void> {
    checkLease(`hold "${this.id}"`, "lease", lease);
    await this.#change(EXTEND, "hold", lease);
  }

  async #change(script: Script, verb: string, ms: number): Promise<void> {
    const { number, acks, run, expect } = this.#group;
    const [item, , , , attempt] = this.#row;
    acks.flush();
    if (await run(script, [number, item, attempt, ms]) !== 1) throw leaseOver(verb, this.id);
    expect(ms);
  }
}
