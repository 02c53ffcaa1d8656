import { type SystemFault, systemFault } from "../result.ts";
import type { Frame, Peer, Reply } from "../ports/transport.ts";
import type { Life } from "./life.ts";
import { type Carrier, type Seat, SimulatedCopy } from "./simulated_copy.ts";

/** One frame of a node and what comes back, as its caller sees it. */
export class SimulatedExchange {
  readonly life: Life;
  readonly to: Peer;
  readonly since: number;
  /** The frame as it travels; more than one when the network doubled it. */
  readonly copies: SimulatedCopy[] = [];
  over: boolean = false;
  readonly #reply: Reply;
  readonly #done: (fault: SystemFault | undefined) => void;
  /** What arrived while the caller asked to wait. */
  #waiting: (() => void)[] | undefined;

  constructor(
    life: Life,
    to: Peer,
    since: number,
    reply: Reply,
    done: (fault: SystemFault | undefined) => void,
  ) {
    this.life = life;
    this.to = to;
    this.since = since;
    this.#reply = reply;
    this.#done = done;
  }

  /** Sends the frame, now and then twice: then it is the end of one of the two that the caller hears of. */
  send(carrier: Carrier, frame: Frame): void {
    const doubled = carrier.doubles(this.life, carrier.seatAt(this.to.endpoint)?.life);
    const heard = carrier.firstOfTwo();
    this.copies.push(new SimulatedCopy(carrier, this, frame, heard || !doubled));
    if (doubled) this.copies.push(new SimulatedCopy(carrier, this, frame, !heard));
    for (const copy of this.copies) copy.send();
  }

  /** A reply has arrived. */
  take(frame: Frame, taken: () => void): void {
    this.#inTurn(() => {
      let wait: void | Promise<void>;
      try {
        wait = this.#reply(frame);
      } catch (thrown) {
        return this.#unread(thrown);
      }
      if (wait === undefined) return taken();
      const waiting = this.#waiting ??= [];
      wait.then(taken, (thrown) => this.#unread(thrown)).then(() => {
        this.#waiting = undefined;
        for (const next of waiting) this.#inTurn(next);
      });
    });
  }

  /** The end has arrived, or what took its place. */
  settle(fault: SystemFault | undefined): void {
    if (fault === undefined) this.#inTurn(() => this.#finish(undefined));
    else this.#finish(fault);
  }

  /** The caller waits no longer. */
  giveUp(fault: SystemFault): void {
    this.#finish(fault);
    for (const copy of this.copies) copy.abort();
  }

  /** The caller has crashed. */
  orphan(): void {
    this.over = true;
    for (const copy of this.copies) copy.abort();
  }

  /** A life that it was sent to has crashed. */
  reset(life: Life): void {
    for (const copy of this.copies) if (copy.life === life) copy.reset();
  }

  /** Somebody has stopped to take frames. */
  unseat(seat: Seat): void {
    for (const copy of this.copies) if (copy.seat === seat) copy.unseat();
  }

  #unread(thrown: unknown): void {
    this.giveUp(systemFault("TRANSPORT", `A reply of "${this.to.id}" could not be taken`, undefined, thrown));
  }

  #inTurn(run: () => void): void {
    if (this.over) return;
    if (this.#waiting === undefined) run();
    else this.#waiting.push(run);
  }

  #finish(fault: SystemFault | undefined): void {
    if (this.over) return;
    this.over = true;
    this.#done(fault);
  }
}
