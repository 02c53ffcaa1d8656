import { Fifo } from "../../src/internal/fifo.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { ExchangeOptions, Frame, Receiver } from "../../src/ports/transport.ts";
import { costOf, CREDIT_AT } from "./transport_frames.ts";

/** How many replies may wait for a slow caller before a receiver that does not wait for it is broken off, and how much. */
const BACKLOG = 1024;
const BACKLOG_COST = 16 * 1024 * 1024;

/** What an answer tells the side it is made on. */
export interface AnswerHost {
  /** How much may be on its way to one caller, as `costOf` counts. */
  readonly window: number;
  /** The size of the largest reply, in bytes. */
  readonly limit: number;
  replied(answer: Answer, frame: Frame): void;
  /** It is over: well, with a failure that its caller has to hear of, or because the caller has gone. */
  ended(answer: Answer, how: "done" | "gone" | { readonly failed: string }): void;
}

interface Held {
  readonly frame: Frame;
  readonly sent: () => void;
}

/** A call that is being answered. */
export class Answer implements ExchangeOptions {
  /** The exchange, as its caller counts. */
  readonly seq: number;
  readonly #host: AnswerHost;
  /** Made when a reply has to wait. */
  #waiting: Fifo<Held> | undefined;
  #controller: AbortController | undefined;
  #untaken = 0;
  #held = 0;
  #finished = false;
  #over = false;
  #broken = false;
  /** How many looks ago its caller said that it waits. */
  silent = 0;

  constructor(host: AnswerHost, seq: number) {
    this.#host = host;
    this.seq = seq;
  }

  /** Tells the receiver that nobody waits any longer; made when it asks. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#broken) this.#controller.abort();
    return this.#controller.signal;
  }

  /** Hands the call to a receiver. */
  begin(receiver: Receiver, frame: Frame): void {
    try {
      receiver(frame, (reply) => this.#reply(reply), this).then(
        () => this.#finish(),
        (thrown) => this.#fail(thrown),
      );
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** The caller has taken so much. */
  credit(cost: number): void {
    this.#untaken = Math.max(0, this.#untaken - cost);
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    while (!this.#over && this.#fits(waiting.peek()?.frame)) this.#send(waiting.shift()!);
    if (this.#finished && waiting.size === 0) this.#end("done");
  }

  /** Breaks it off; without a reason, as the caller has gone. */
  breakOff(failed?: string): void {
    if (this.#over) return;
    this.#broken = true;
    this.#end(failed === undefined ? "gone" : { failed });
    this.#controller?.abort(new CatgaError(systemFault("TRANSPORT", failed ?? "The caller has gone")));
  }

  #reply(frame: Frame): void | Promise<void> {
    if (this.#over || this.#finished) return;
    if (frame.length > this.#host.limit) {
      return this.breakOff(`a reply is over the limit of ${this.#host.limit} bytes`);
    }
    const waits = this.#waiting?.size ?? 0;
    if (waits === 0 && this.#fits(frame)) {
      this.#untaken += costOf(frame);
      return this.#host.replied(this, frame);
    }
    this.#held += costOf(frame);
    if (waits >= BACKLOG || (this.#held > BACKLOG_COST && waits > 0)) {
      return this.breakOff("it replies without waiting for its caller");
    }
    const waiting = this.#waiting ??= new Fifo();
    return new Promise((sent) => waiting.push({ frame, sent }));
  }

  #fits(frame: Frame | undefined): boolean {
    if (frame === undefined) return false;
    // Of less its caller says nothing, so it must not be waited for.
    return this.#untaken < CREDIT_AT || this.#untaken + costOf(frame) <= this.#host.window;
  }

  #send({ frame, sent }: Held): void {
    const cost = costOf(frame);
    this.#held -= cost;
    this.#untaken += cost;
    this.#host.replied(this, frame);
    sent();
  }

  #finish(): void {
    this.#finished = true;
    if ((this.#waiting?.size ?? 0) === 0 && !this.#over) this.#end("done");
  }

  #fail(thrown: unknown): void {
    this.breakOff(`its receiver failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }

  #end(how: "done" | "gone" | { readonly failed: string }): void {
    this.#over = true;
    this.#host.ended(this, how);
    // Whoever waits for a caller that takes nothing any more goes on.
    for (let held = this.#waiting?.shift(); held !== undefined; held = this.#waiting?.shift()) held.sent();
  }
}
