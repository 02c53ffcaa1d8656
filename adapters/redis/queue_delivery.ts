import { fromBase64, toBase64 } from "../../src/internal/base64.ts";
import type { Delivery, QueueItem } from "../../src/ports/queue.ts";
import { checkDelay, checkLease, leaseOver } from "../../src/ports/queue_faults.ts";
import type { Frame } from "../../src/ports/transport.ts";
import type { QueueAcks } from "./queue_acks.ts";
import { EXTEND, RETRY } from "./queue_scripts_items.ts";
import type { Script } from "./scripts.ts";
import type { Reply } from "./wire.ts";

/** What was taken at once. */
export interface Hold {
  readonly id: string;
  /** How many items it had. */
  readonly size: number;
}

/** An item as a script answers it. */
export interface TakenItem {
  /** Its number, and where it came again or has a key ` `, the attempt, and `k` with the key. */
  readonly word: string;
  readonly hold: Hold;
  /** All else. */
  readonly text: string;
}

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

/** What a push sends of an item. The name stands before the payload, with its length and the kind of payload. */
export function pushedItem({ id, key, payload, delay = 0 }: QueueItem): (string | number)[] {
  const text = typeof payload === "string"
    ? `${id.length}t${id}${payload}`
    : `${id.length}b${id}${toBase64(payload)}`;
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
  readonly #taken: TakenItem;
  readonly #item: string;
  /** Done with, or about to be. */
  #acked: Promise<void> | undefined;

  constructor(group: DeliveryGroup, taken: TakenItem) {
    const { word, text } = taken;
    const [, item, attempt, key] = /^(\d+)(?: (\d+)(?:k([^]*))?)?$/.exec(word)!;
    const kind = text.search(/[tb]/);
    const end = kind + 1 + Number(text.slice(0, kind));
    this.id = text.slice(kind + 1, end);
    this.key = key;
    this.payload = text[kind] === "t" ? text.slice(end) : fromBase64(text.slice(end));
    this.attempt = Number(attempt ?? 1);
    this.pushed = Math.floor(Number(item) / 1000);
    this.#item = item!;
    this.#group = group;
    this.#taken = taken;
  }

  ack(): Promise<void> {
    return this.#acked ??= this.#group.acks.add(this.#group, this.#taken).then((done) => {
      if (!done) throw leaseOver("acknowledge", this.id);
    }).catch((thrown) => {
      this.#acked = undefined;
      throw thrown;
    });
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
    acks.flush();
    if (await run(script, [number, this.#item, this.#taken.hold.id, this.attempt, ms]) !== 1) {
      throw leaseOver(verb, this.id);
    }
    expect(ms);
  }
}
