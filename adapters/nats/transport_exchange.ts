import { Fifo } from "../../src/internal/fifo.ts";
import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import type { Frame, Peer, Reply } from "../../src/ports/transport.ts";
import { costOf, CREDIT_AT } from "./transport_frames.ts";

/** What an exchange tells the side it was made on. */
export interface ExchangeHost {
  /** More than a receiver that keeps to its window may have on its way, as `costOf` counts. */
  readonly flood: number;
  /** There is room for so much more. */
  credit(exchange: OpenExchange, cost: number): void;
  /** It is over; `tell` whether its receiver does not know yet. */
  ended(exchange: OpenExchange, tell: boolean): void;
}

/** A call that waits for its replies. */
export class OpenExchange {
  readonly seq: number;
  readonly to: Peer;
  readonly size: number;
  readonly #host: ExchangeHost;
  readonly #reply: Reply;
  readonly #settle: (error: CatgaError | undefined) => void;
  readonly #signal: AbortSignal | undefined;
  /** Made when a reply has to wait. */
  #waiting: Fifo<Frame> | undefined;
  #held = 0;
  #taken = 0;
  #taking = false;
  #last = false;
  #over = false;
  /** How many times it was looked at: its receiver is asked about it from the second time on. */
  looks = 0;

  constructor(
    host: ExchangeHost,
    call: {
      readonly seq: number;
      readonly to: Peer;
      readonly size: number;
      readonly signal: AbortSignal | undefined;
    },
    reply: Reply,
    settle: (error: CatgaError | undefined) => void,
  ) {
    this.#host = host;
    this.seq = call.seq;
    this.to = call.to;
    this.size = call.size;
    this.#reply = reply;
    this.#settle = settle;
    this.#signal = call.signal;
    call.signal?.addEventListener("abort", this.#cancel, { once: true });
  }

  /** Takes a reply that came. */
  take(frame: Frame): void {
    if (this.#over || this.#last) return;
    if (this.#taking) {
      this.#held += costOf(frame);
      if (this.#held > this.#host.flood) return this.fail("TRANSPORT", "it sends more than it may", true);
      return (this.#waiting ??= new Fifo()).push(frame);
    }
    this.#hand(frame);
  }

  /** No more will come. */
  end(): void {
    this.#last = true;
    if (!this.#taking) this.#end(undefined, false);
  }

  /** Ends it with a failure; `tell` whether its receiver has to hear of that. */
  fail(code: SystemCode, why: string, tell: boolean, cause?: unknown): void {
    if (!this.#over) this.#end(failure(code, this.to, why, cause), tell);
  }

  readonly #cancel = (): void => this.fail("CANCELLED", "its signal aborted", true);

  /** Hands on a reply, and those behind it as long as the caller takes them at once. */
  #hand(first: Frame): void {
    for (let frame: Frame | undefined = first; frame !== undefined && !this.#over; frame = this.#next()) {
      const cost = costOf(frame);
      let wait: void | Promise<void>;
      try {
        wait = this.#reply(frame);
      } catch (thrown) {
        return this.#refuse(thrown);
      }
      if (wait === undefined) {
        this.#credit(cost);
        continue;
      }
      this.#taking = true;
      wait.then(() => {
        this.#taking = false;
        if (this.#over) return;
        this.#credit(cost);
        const next = this.#next();
        if (next !== undefined) this.#hand(next);
        else if (this.#last) this.#end(undefined, false);
      }, (thrown) => this.#refuse(thrown));
      return;
    }
    if (this.#last && !this.#taking && !this.#over) this.#end(undefined, false);
  }

  #next(): Frame | undefined {
    const frame = this.#waiting?.shift();
    if (frame !== undefined) this.#held -= costOf(frame);
    return frame;
  }

  #credit(cost: number): void {
    this.#taken += cost;
    if (this.#taken < CREDIT_AT || this.#last) return;
    this.#host.credit(this, this.#taken);
    this.#taken = 0;
  }

  #refuse(thrown: unknown): void {
    this.fail("TRANSPORT", "a reply of it could not be taken", true, thrown);
  }

  #end(error: CatgaError | undefined, tell: boolean): void {
    this.#over = true;
    this.#signal?.removeEventListener("abort", this.#cancel);
    this.#host.ended(this, tell && !this.#last);
    this.#settle(error);
  }
}

/** The error of an exchange that did not come off. */
export function failure(code: SystemCode, to: Peer, why: string, cause?: unknown): CatgaError {
  const message = `Cannot reach node "${to.id}" at ${JSON.stringify(to.endpoint)} on NATS: ${why}`;
  return new CatgaError(systemFault(code, message, undefined, cause));
}
