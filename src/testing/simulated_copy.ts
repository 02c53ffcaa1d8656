import { CatgaError, type SystemFault, systemFault } from "../result.ts";
import type { ExchangeOptions, Frame, Peer, Receiver } from "../ports/transport.ts";
import type { Life, SimulatedHost } from "./life.ts";
import type { SimulatedExchange } from "./simulated_exchange.ts";
import type { TraceKind } from "./trace.ts";

/** How many replies may be on their way before the receiver is asked to wait. */
const WINDOW = 32;

/** A node that takes frames just now. */
export interface Seat {
  readonly peer: Peer;
  readonly life: Life;
  readonly receiver: Receiver;
}

/** Something on its way from one host to another. */
export interface Parcel {
  readonly kind: TraceKind;
  readonly from: SimulatedHost | undefined;
  readonly to: SimulatedHost | undefined;
  /** Who it is for; anybody if left out. */
  readonly life: Life | undefined;
  readonly size: number;
  /** Before this time, in ms, it does not arrive: what was sent before it comes first. */
  readonly notBefore: number;
  readonly arrive: () => void;
}

/** What moves things between hosts. */
export interface Carrier {
  /** Sends something. Answers when it will arrive, in ms; `undefined` when it is lost. */
  carry(parcel: Parcel): number | undefined;
  /** Whether a frame from one to the other arrives twice. */
  doubles(from: Life, to: Life | undefined): boolean;
  /** Which of two it is. */
  firstOfTwo(): boolean;
  /** Whether a reply from one to the other overtakes those before it. */
  overtakes(from: Life, to: Life): boolean;
  seatAt(endpoint: string): Seat | undefined;
  /** Does something for a life at once. */
  hand(life: Life, run: () => void): void;
}

/** One copy of a frame: on its way, being answered, and the replies to it. */
export class SimulatedCopy implements ExchangeOptions {
  seat: Seat | undefined;
  /** The life that it was sent to. */
  life: Life | undefined;
  readonly #carrier: Carrier;
  readonly #exchange: SimulatedExchange;
  readonly #frame: Frame;
  readonly #heard: boolean;
  #controller: AbortController | undefined;
  #aborted = false;
  #arrives = 0;
  #lastReply = 0;
  /** Whether nothing will come of it any more. */
  #over = false;
  #unread = 0;
  #room: (() => void)[] = [];

  constructor(carrier: Carrier, exchange: SimulatedExchange, frame: Frame, heard: boolean) {
    this.#carrier = carrier;
    this.#exchange = exchange;
    this.#frame = frame;
    this.#heard = heard;
  }

  /** Tells the receiver that nobody waits any longer; made when it asks. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted) this.#controller.abort();
    return this.#controller.signal;
  }

  send(): void {
    const bound = this.#carrier.seatAt(this.#exchange.to.endpoint);
    this.life = bound?.life;
    const arrives = this.#carrier.carry({
      kind: "frame",
      from: this.#exchange.life.host,
      to: bound?.life.host,
      life: bound?.life,
      size: this.#frame.length,
      notBefore: 0,
      arrive: () => this.#arrive(),
    });
    if (arrives === undefined) this.#over = true;
    else this.#arrives = arrives;
  }

  /** The caller is gone, which the receiver hears of after a while, or never. */
  abort(): void {
    if (this.#over || this.life === undefined) return;
    const { host } = this.life;
    const arrive = (): void => this.#abortNow();
    this.#carry("abort", this.#exchange.life.host, host, this.life, 0, this.#arrives, arrive);
  }

  /** The life that it was sent to has crashed, which the caller hears of after a while, or never. */
  reset(): void {
    if (this.#over) return;
    this.#over = true;
    this.#tell(
      "reset",
      0,
      systemFault("TRANSPORT", `"${this.#exchange.to.id}" broke off; it may have taken the frame`),
    );
  }

  /** The receiver takes no frames any more. */
  unseat(): void {
    this.reset();
    this.#abortNow();
  }

  #arrive(): void {
    const seat = this.#carrier.seatAt(this.#exchange.to.endpoint);
    if (seat === undefined || (this.life !== undefined && this.life !== seat.life)) return this.#refuse();
    if (this.life !== undefined) return this.#deliver(seat);
    this.life = seat.life;
    this.#carrier.hand(seat.life, () => this.#deliver(seat));
  }

  /** Nobody is there. That nothing was started is certain only of a frame that travelled once. */
  #refuse(): void {
    this.#over = true;
    const { to, copies } = this.#exchange;
    const [code, why] = copies.length === 1
      ? ["UNAVAILABLE", `no node takes frames at "${to.endpoint}"`] as const
      : ["TRANSPORT", "the connection broke off"] as const;
    this.#tell("refuse", 0, systemFault(code, `Cannot send to "${to.id}": ${why}`));
  }

  #deliver(seat: Seat): void {
    this.seat = seat;
    try {
      seat.receiver(this.#frame, (frame) => this.#answer(frame), this).then(
        () => this.#end(undefined),
        (thrown) => this.#end(failed(this.#exchange.to, thrown)),
      );
    } catch (thrown) {
      this.#end(failed(this.#exchange.to, thrown));
    }
  }

  #answer(frame: Frame): void | Promise<void> {
    const { life } = this;
    if (this.#over || this.#aborted || life?.alive !== true) return;
    // Whoever sends to somebody that is gone hears of it then.
    if (this.#exchange.over) return this.abort();
    const copies = this.#carrier.doubles(life, this.#exchange.life) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) if (!this.#over) this.#sendReply(life, frame);
    if (this.#unread >= WINDOW) return new Promise((resolve) => this.#room.push(resolve));
  }

  #sendReply(life: Life, frame: Frame): void {
    const { life: caller } = this.#exchange;
    const notBefore = this.#carrier.overtakes(life, caller) ? 0 : this.#lastReply;
    const taken = (): void => this.#taken();
    const arrive = (): void => this.#exchange.take(frame, taken);
    const time = this.#carry("reply", life.host, caller.host, caller, frame.length, notBefore, arrive);
    // What is lost on the way is not made up for: from here on there is silence.
    if (time === undefined) return void (this.#over = true);
    this.#unread++;
    this.#lastReply = Math.max(this.#lastReply, time);
  }

  #taken(): void {
    this.#unread--;
    if (this.#room.length === 0 || this.#unread > WINDOW / 2) return;
    const room = this.#room.splice(0);
    const arrive = (): void => room.forEach((resolve) => resolve());
    this.#carry("reply", this.#exchange.life.host, this.life?.host, this.life, 0, 0, arrive);
  }

  #end(fault: SystemFault | undefined): void {
    if (this.#over || this.life?.alive !== true) return;
    this.#over = true;
    this.#tell("end", this.#lastReply, fault);
  }

  #tell(kind: TraceKind, notBefore: number, fault: SystemFault | undefined): void {
    if (!this.#heard) return;
    const { life: caller } = this.#exchange;
    this.#carry(kind, this.life?.host, caller.host, caller, 0, notBefore, () => this.#exchange.settle(fault));
  }

  #abortNow(): void {
    this.#aborted = true;
    this.#controller?.abort();
    for (const resolve of this.#room.splice(0)) resolve();
  }

  #carry(
    kind: TraceKind,
    from: SimulatedHost | undefined,
    to: SimulatedHost | undefined,
    life: Life | undefined,
    size: number,
    notBefore: number,
    arrive: () => void,
  ): number | undefined {
    return this.#carrier.carry({ kind, from, to, life, size, notBefore, arrive });
  }
}

function failed(to: Peer, thrown: unknown): SystemFault {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  const cause = CatgaError.is(thrown) ? undefined : thrown;
  return systemFault("TRANSPORT", `"${to.id}" failed to answer: ${why}`, undefined, cause);
}
