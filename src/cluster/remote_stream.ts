import { CatgaError, type Fault, faultOf, systemFault } from "../result.ts";
import type { Frame } from "../ports/transport.ts";
import { decodeEnvelope, decodeReply, END, PULSE, VALUE } from "../wire/envelope.ts";
import type { Link } from "./link.ts";

/** How many values wait for a slow reader before the sender is asked to wait. */
const BUFFER = 64;

/** The values of one remote stream between the transport and whoever reads them. */
export class RemoteStream {
  /** Whether anything came back yet. */
  begun: boolean = false;
  /** Whether the other node said that it did not start. */
  unstarted: boolean = false;
  readonly #link: Link;
  #count = 0;
  readonly #values: unknown[] = [];
  #ended = false;
  #fault: Fault | undefined;
  #wake: (() => void) | undefined;
  #room: (() => void) | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Takes a frame; a promise asks the transport to wait. */
  take(frame: Frame): void | Promise<void> {
    for (const item of decodeEnvelope(this.#link.codec, frame).items) this.#takeItem(item);
    this.#wake?.();
    if (this.#values.length >= BUFFER) return new Promise((resolve) => this.#room = resolve);
  }

  /** The exchange is over. */
  end(thrown: unknown): void {
    if (!this.#ended && this.#fault === undefined) {
      this.#fault = thrown === undefined
        ? systemFault("TRANSPORT", "The stream broke off: the other node ended the exchange")
        : faultOf(thrown);
    }
    this.#ended = true;
    this.#wake?.();
  }

  /** Whoever reads it may wait no longer: what has come and was not read is let go, as in a stream of this process. */
  giveUp(fault: Fault): void {
    this.#values.length = 0;
    this.#fault = fault;
    this.#ended = true;
    this.#wake?.();
    this.#room?.();
  }

  /** The next value. Throws a `CatgaError` when the stream failed. */
  async next(): Promise<IteratorResult<unknown, undefined>> {
    while (this.#values.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.#values.length === 0) {
      if (this.#fault !== undefined) throw new CatgaError(this.#fault);
      return { done: true, value: undefined };
    }
    const value = this.#values.shift();
    this.#room?.();
    return { done: false, value };
  }

  #takeItem(item: unknown): void {
    const [kind, count, value] = item as readonly unknown[];
    this.begun = true;
    if (this.#ended || kind === PULSE) return;
    if (kind === 0) {
      const reply = decodeReply(item);
      this.unstarted = !reply.answered;
      if (!reply.result.ok) this.#fault = reply.result.error;
      this.#ended = true;
      return;
    }
    // A copy of an earlier part is left out; a part that is missing ends the stream.
    if (typeof count !== "number" || count < this.#count) return;
    if (count > this.#count) {
      this.#fault = systemFault("TRANSPORT", "The stream broke off: a part of it was lost");
    } else if (kind === VALUE) this.#values.push(value);
    this.#ended = kind === END || count > this.#count;
    this.#count++;
  }
}
