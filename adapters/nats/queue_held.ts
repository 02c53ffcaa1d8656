import type { KeptItem, QueueEntry } from "../../src/internal/queue_group.ts";
import type { QueueBody } from "./queue_body.ts";

/** What the subject says that an item is acknowledged at. */
export interface HandOut {
  /** How often the server has handed it out. */
  readonly times: number;
  /** Its place in the stream. */
  readonly sequence: number;
  /** Which hand-out of the consumer it is. */
  readonly count: number;
  /** When it was stored, in ms since 1970. */
  readonly stored: number;
}

/** Reads `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<times>.<sequence>.<count>.<ns>.<pending>…`. */
export function readHandOut(subject: string | undefined): HandOut | undefined {
  if (subject === undefined || !subject.startsWith("$JS.ACK.")) return undefined;
  const dots: number[] = [];
  for (let at = subject.indexOf("."); at >= 0; at = subject.indexOf(".", at + 1)) dots.push(at);
  const first = dots.length >= 10 ? 5 : 3;
  const number = (step: number): number =>
    Number(subject.slice(dots[first + step]! + 1, dots[first + step + 1] ?? subject.length));
  const [times, sequence, count, stored] = [number(0), number(1), number(2), number(3)];
  if (!(times > 0 && sequence > 0 && count > 0 && stored > 0)) return undefined;
  return { times, sequence, count, stored: stored / 1e6 };
}

/** An item that the owner of a group has from the server. */
export class HeldItem implements KeptItem {
  readonly id: string;
  readonly key: string | undefined;
  payload: string | Uint8Array = "";
  /** The payload, if it is text. */
  readonly text: string | undefined;
  readonly pushed: number;
  readonly since: number;
  readonly due: number;
  readonly size: number;
  holders: number = 1;
  readonly sequence: number;
  /** All of it, as it is stored; at first a part of what came with it. */
  body: Uint8Array;
  /** Where it is acknowledged. */
  ack: string;
  /** How often the server has handed it out. */
  times: number;
  /** When the server heard last that it is worked on, by the monotonic clock. */
  touched: number;
  /** How often it was handed to somebody before this owner had it. */
  before: number;
  /** As its group has it; `undefined` until it was handed out. */
  entry: QueueEntry | undefined = undefined;
  /** While the server is told that it is done with. */
  acking: Promise<void> | undefined = undefined;

  /** @param offset what has to be added to the server's time to have the monotonic one */
  constructor(
    handOut: HandOut,
    { id, key, delay, text }: QueueBody,
    body: Uint8Array,
    ack: string,
    now: number,
    offset: number,
  ) {
    this.id = id;
    this.key = key;
    this.text = text;
    this.pushed = handOut.stored;
    this.since = Math.min(now, handOut.stored + offset);
    this.due = delay === 0 ? this.since : handOut.stored + offset + delay;
    this.size = body.length;
    this.sequence = handOut.sequence;
    this.body = body;
    this.ack = ack;
    this.times = handOut.times;
    this.touched = now;
    // What is not due yet cannot have been in anybody's hands.
    this.before = this.due > now ? 0 : handOut.times - 1;
  }

  get attempt(): number {
    return this.before + (this.entry?.attempt ?? 0);
  }
}

/** What is said of an item by who has it in hands. */
export interface Claim {
  readonly sequence: number;
  readonly ack: string;
  readonly key: string | undefined;
  readonly attempt: number;
  /** How long it is held yet, in ms. */
  readonly left: number;
}

/** Somebody's claim as an owner has it, who was not it when the item was handed out. */
export interface KeptClaim extends Omit<Claim, "left"> {
  /** When it is over, by the monotonic clock. */
  until: number;
  /** Whether it was given back and has to come again. */
  back: boolean;
  touched: number;
  /** The item, if it came meanwhile. */
  item: HeldItem | undefined;
}
