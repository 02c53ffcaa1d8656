import { CatgaError, type Fault, systemFault } from "../result.ts";
import { cancelledFault } from "../mediator/supervise.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Frame, Peer } from "../ports/transport.ts";
import { decodeEnvelope, decodeReply } from "../wire/envelope.ts";
import { watchDeadlines } from "./expiry.ts";
import type { Link } from "./link.ts";
import type { RemoteCall } from "./remote_call.ts";

/** What an open frame needs of the way it was sent on. */
export interface FrameWay {
  readonly link: Link;
  readonly peer: Peer;
  /** Tells the node that nobody waits for one of its answers. */
  giveUp(seq: number, index: number): void;
  /** Takes note that a frame has all its answers. */
  answered(frame: OpenFrame): void;
}

/** A frame that some replies are still missing of. */
export class OpenFrame {
  readonly seq: number;
  readonly calls: readonly RemoteCall[];
  readonly #way: FrameWay;
  readonly #abort: AbortController = new AbortController();
  readonly #unwatch: () => void;

  constructor(way: FrameWay, seq: number, calls: readonly RemoteCall[], clock: Clock) {
    this.#way = way;
    this.seq = seq;
    this.calls = calls;
    for (let at = 0; at < calls.length; at++) {
      const call = calls[at]!;
      call.frame = this;
      call.index = at;
    }
    this.#unwatch = watchDeadlines(clock, calls, (call) => this.#waits(call), (call) => {
      call.expire();
      this.#endIfIdle(call);
    });
  }

  /** Aborts when nobody waits for any of its replies any longer. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What a call of it is known by, here and there. */
  nameOf(index: number): string {
    return this.#way.link.nameOf(this.seq, index);
  }

  /** Takes replies as they come. */
  take(reply: Frame): void {
    for (const item of decodeEnvelope(this.#way.link.codec, reply).items) {
      const { index, result, answered } = decodeReply(item);
      const call = this.calls[index];
      if (call !== undefined && this.#waits(call)) call.settle(result, answered, answered);
    }
    if (!this.calls.some((call) => this.#waits(call))) {
      this.#unwatch();
      this.#way.answered(this);
    }
  }

  /** One of its calls was given up. */
  cancel(index: number): void {
    if (!this.#endIfIdle(this.calls[index]!)) this.#way.giveUp(this.seq, index);
  }

  /** The exchange is over; what was not answered by now never will be. */
  end(fault: Fault | undefined): void {
    this.#unwatch();
    for (const call of this.calls) {
      if (!this.#waits(call)) continue;
      const { id } = this.#way.peer;
      const message = `"${id}" ended the exchange without an answer to "${call.type}", which may have run`;
      const error = fault ?? systemFault("TRANSPORT", message);
      call.settle({ ok: false, error }, error.code !== "UNAVAILABLE", false);
    }
  }

  /** Ends the exchange if the other side does not. */
  close(): void {
    this.#abort.abort(new CatgaError(cancelledFault("frame")));
  }

  /** Gives up on the node. */
  lose(fault: Fault): void {
    this.end(fault);
    this.#abort.abort(new CatgaError(fault));
  }

  #endIfIdle({ type }: RemoteCall): boolean {
    const idle = !this.calls.some((call) => this.#waits(call));
    if (idle) this.#abort.abort(new CatgaError(cancelledFault(type)));
    return idle;
  }

  /** Whether the call still waits for this frame, and not for a later one. */
  #waits(call: RemoteCall): boolean {
    return !call.done && call.frame === this;
  }
}
