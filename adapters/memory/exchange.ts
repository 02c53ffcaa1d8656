import { CatgaError, type Fault, systemFault } from "../../src/result.ts";
import type { ExchangeOptions, Frame, Peer, Reply } from "../../src/ports/transport.ts";
import type { Seat } from "./hub.ts";

/** How many replies may wait for a slow caller before a receiver that does not wait for it is broken off. */
const BACKLOG = 1024;

/** One frame on its way to a node and the replies on their way back. */
export class Exchange implements ExchangeOptions {
  readonly #to: Peer;
  readonly #frame: Frame;
  readonly #reply: Reply;
  readonly #done: (fault: Fault | undefined) => void;
  #seat: Seat | undefined;
  #controller: AbortController | undefined;
  /** Replies not yet taken by the caller, and the promise of the last of them. */
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();
  #over = false;
  /** Whether it ended with a fault. */
  #broken = false;
  #release: (() => void) | undefined;

  constructor(to: Peer, frame: Frame, reply: Reply, done: (fault: Fault | undefined) => void) {
    this.#to = to;
    this.#frame = frame;
    this.#reply = reply;
    this.#done = done;
  }

  /** Tells the receiver that nobody waits any longer; made when it asks. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#broken) this.#controller.abort();
    return this.#controller.signal;
  }

  /** Hands the frame to whoever takes frames under the endpoint just now. */
  deliver(seat: Seat | undefined): void {
    if (this.#over) return;
    if (seat === undefined) {
      const message = `Cannot send to "${this.#to.id}": no node takes frames at "${this.#to.endpoint}"`;
      return this.fail(systemFault("UNAVAILABLE", message));
    }
    this.#seat = seat;
    seat.answering.add(this);
    try {
      seat.receiver(this.#frame, (frame) => this.#answer(frame), this).then(
        () => this.#last.then(() => this.#end(undefined)),
        (thrown) => this.#refused(thrown),
      );
    } catch (thrown) {
      this.#refused(thrown);
    }
  }

  /** Ends the exchange with a fault, on both sides. */
  fail(fault: Fault): void {
    if (this.#over) return;
    this.#broken = true;
    this.#end(fault);
    this.#controller?.abort(new CatgaError(fault));
  }

  #answer(frame: Frame): Promise<void> {
    if (this.#over) return Promise.resolve();
    if (this.#waiting >= BACKLOG) {
      this.fail(
        systemFault("TRANSPORT", `"${this.#to.id}" sent ${BACKLOG} replies without waiting for the caller`),
      );
      return Promise.resolve();
    }
    this.#waiting++;
    return this.#last = this.#last.then(() => this.#hand(frame)).then(undefined, (thrown) => {
      this.fail(
        systemFault("TRANSPORT", `A reply of "${this.#to.id}" could not be taken`, undefined, thrown),
      );
    });
  }

  #hand(frame: Frame): void | Promise<void> {
    this.#waiting--;
    const taken = this.#over ? undefined : this.#reply(frame);
    // A caller that went away while it took its time must not keep the receiver waiting.
    if (taken !== undefined) {
      return Promise.race([
        taken,
        new Promise<void>((resolve) => this.#release = resolve),
      ]);
    }
  }

  #refused(thrown: unknown): void {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    this.fail(systemFault("TRANSPORT", `"${this.#to.id}" failed to answer: ${why}`, undefined, thrown));
  }

  #end(fault: Fault | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#seat?.answering.delete(this);
    this.#release?.();
    this.#done(fault);
  }
}
