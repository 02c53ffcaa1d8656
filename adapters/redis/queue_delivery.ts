import { fromBase64, toBase64 } from "../../src/internal/base64.ts";
import type { Delivery, QueueItem } from "../../src/ports/queue.ts";
import { checkDelay, checkLease, leaseOver } from "../../src/ports/queue_faults.ts";
import type { Frame } from "../../src/ports/transport.ts";
import { transport } from "./faults.ts";
import type { Hold, QueueAcks } from "./queue_acks.ts";
import { EXTEND, RETRY } from "./queue_scripts_held.ts";
import type { Script } from "./scripts.ts";
import type { Reply } from "./wire.ts";

/** What a delivery needs of its group. */
export interface DeliveryGroup {
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

/**
 * Reads what was taken at once: the number of the group and those of the items, each with `.` and its attempt where it
 * came again, with blanks between; then the texts of the items. Throws `TRANSPORT` when they are not as they were pushed.
 */
export function readTaken(
  answer: readonly string[],
  groupOf: (number: string) => DeliveryGroup,
): RedisDelivery[] {
  const words = answer[0]!.split(" ");
  const isAgain = answer[0]!.includes(".");
  const first = words[1] ?? "";
  const id = first.includes(".") ? first : `${first}.1`;
  const hold: Hold = { id, group: groupOf(words[0]!), size: answer.length - 1, isAgain, acks: [] };
  const taken: RedisDelivery[] = [];
  for (let at = 1; at < answer.length; at++) {
    const word = words[at];
    const text = answer[at]!;
    const dot = isAgain && word !== undefined ? word.indexOf(".") : -1;
    const behindName = digitsOf(text, 0);
    const isKeyed = text[behindName] === ",";
    const behind = isKeyed ? digitsOf(text, behindName + 1) : behindName;
    const name = behind + 1;
    const begin = name + Number(text.slice(0, behindName));
    const end = isKeyed ? begin + Number(text.slice(behindName + 1, behind)) : begin;
    if (word === undefined || behind === 0 || end > text.length) throw notAsPushed();
    const payload = payloadOf(text[behind], text.slice(end));
    const key = isKeyed ? text.slice(begin, end) : undefined;
    const number = dot < 0 ? word : word.slice(0, dot);
    const attempt = dot < 0 ? 1 : Number(word.slice(dot + 1));
    taken.push(new RedisDelivery(hold, number, attempt, text.slice(name, begin), key, payload));
  }
  return taken;
}

function payloadOf(kind: string | undefined, carried: string): Frame {
  if (kind === "t") return carried;
  try {
    if (kind === "b") return fromBase64(carried);
  } catch {
    // Its letters are none of base64.
  }
  throw notAsPushed();
}

function notAsPushed(): Error {
  return transport("take items", "they are not as they were pushed");
}

/** Where digits end. */
function digitsOf(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) >= 48 && text.charCodeAt(at) <= 57) at++;
  return at;
}

/** An item in somebody's hands, and what can be done about it. */
export class RedisDelivery implements Delivery {
  readonly id: string;
  readonly key: string | undefined;
  readonly payload: Frame;
  readonly attempt: number;
  readonly pushed: number;
  readonly #hold: Hold;
  readonly #number: string;
  /** Done with, or about to be. */
  #acked: Promise<void> | undefined;

  constructor(
    hold: Hold,
    number: string,
    attempt: number,
    id: string,
    key: string | undefined,
    payload: Frame,
  ) {
    this.id = id;
    this.key = key;
    this.payload = payload;
    this.attempt = attempt;
    this.pushed = Math.floor(Number(number) / 1000);
    this.#hold = hold;
    this.#number = number;
  }

  ack(): Promise<void> {
    return this.#acked ??= new Promise((resolve, reject) => {
      this.#hold.group.acks.add(this.#hold, {
        number: this.#number,
        attempt: this.attempt,
        key: this.key,
        end: (done, thrown) => {
          if (done) return resolve();
          this.#acked = undefined;
          reject(thrown ?? leaseOver("acknowledge", this.id));
        },
      });
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
    const { id, group } = this.#hold;
    group.acks.flush();
    const done = await group.run(script, [group.number, id, this.#number, this.attempt, ms]);
    if (done !== 1) throw leaseOver(verb, this.id);
    group.expect(ms);
  }
}
