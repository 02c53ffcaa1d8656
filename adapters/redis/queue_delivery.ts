import { fromBase64, toBase64 } from "../../src/internal/base64.ts";
import type { Delivery, QueueItem } from "../../src/ports/queue.ts";
import { checkDelay, checkLease, leaseOver } from "../../src/ports/queue_faults.ts";
import type { Frame } from "../../src/ports/transport.ts";
import { transport } from "./faults.ts";
import type { QueueAcks } from "./queue_acks.ts";
import { EXTEND, RETRY } from "./queue_scripts_held.ts";
import type { Script } from "./scripts.ts";
import type { Reply } from "./wire.ts";

/** What was taken at once. */
export interface Hold {
  readonly id: string;
  /** How many items it had. */
  readonly size: number;
}

/** An item in somebody's hands. */
export interface TakenItem {
  /** What names it in its group. */
  readonly number: string;
  readonly attempt: number;
  readonly hold: Hold;
  readonly id: string;
  readonly key: string | undefined;
  readonly payload: Frame;
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

/** What a push sends of an item. Its text begins with the lengths of name and key and the kind of payload. */
export function pushedItem({ id, key, payload, delay = 0 }: QueueItem): (string | number)[] {
  const [kind, carried] = typeof payload === "string" ? ["t", payload] : ["b", toBase64(payload)];
  const lengths = key === undefined ? id.length : `${id.length},${key.length}`;
  return [id, key === undefined ? "v" : `k${key}`, `${lengths}${kind}${id}${key ?? ""}${carried}`, delay];
}

/** Reads what was taken at once. Throws `TRANSPORT` when it is not as it was pushed. */
export function readTaken(words: string, texts: readonly string[], id: string): readonly TakenItem[] {
  const numbers = words.split(" ");
  const hold: Hold = { id, size: texts.length };
  return texts.map((text, at) => {
    const [lengths, name, keyed, kind] = /^(\d+)(?:,(\d+))?([tb])/.exec(text) ?? [];
    const [number, attempt = 1] = numbers[at]?.split(".") ?? [];
    if (lengths === undefined || number === undefined) {
      throw transport("take items", "they are not as they were pushed");
    }
    const from = lengths.length;
    const behind = from + Number(name);
    const begin = behind + Number(keyed ?? 0);
    const carried = text.slice(begin);
    return {
      number,
      attempt: Number(attempt),
      hold,
      id: text.slice(from, behind),
      key: keyed === undefined ? undefined : text.slice(behind, begin),
      payload: kind === "t" ? carried : fromBase64(carried),
    };
  });
}

/** The same with what can be done about it. */
export class RedisDelivery implements Delivery {
  readonly id: string;
  readonly key: string | undefined;
  readonly payload: Frame;
  readonly attempt: number;
  readonly pushed: number;
  readonly #group: DeliveryGroup;
  readonly #taken: TakenItem;
  /** Done with, or about to be. */
  #acked: Promise<void> | undefined;

  constructor(group: DeliveryGroup, taken: TakenItem) {
    this.id = taken.id;
    this.key = taken.key;
    this.payload = taken.payload;
    this.attempt = taken.attempt;
    this.pushed = Math.floor(Number(taken.number) / 1000);
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
    const { number: item, hold } = this.#taken;
    if (await run(script, [number, item, hold.id, this.attempt, ms]) !== 1) throw leaseOver(verb, this.id);
    expect(ms);
  }
}
