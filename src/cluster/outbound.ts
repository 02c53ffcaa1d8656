import { CatgaError, failure, type Fault, faultOf, type Result, systemFault } from "../result.ts";
import { TokenBucket } from "../internal/token_bucket.ts";
import { createTurn } from "../internal/turn.ts";
import type { Peer } from "../ports/transport.ts";
import {
  decodeEnvelope,
  decodeReply,
  encodeMessage,
  type FrameKind,
  type WireMessage,
  type WireReply,
} from "../wire/envelope.ts";
import { cancelledFault, timeoutFault } from "../mediator/supervise.ts";
import { type Expiring, watchDeadlines } from "./expiry.ts";
import type { Link } from "./link.ts";

/** How many calls go into one frame, and how many characters or bytes. */
const FRAME_CALLS = 256;
const FRAME_SIZE = 2 ** 21;

/** How many frames to one node may be waiting for their replies. */
const OPEN_FRAMES = 256;

/** How many event notices may wait for a node. */
const NOTICES = 10_000;

/** What came of one try of a call. */
export interface Outcome {
  readonly result: Result<unknown, Fault>;
  /** Whether a handler may have been started. */
  readonly started: boolean;
  /** Whether a handler answered. */
  readonly answered: boolean;
}

/** One try of a call on its way to a node. */
export class OutboundCall implements Expiring {
  readonly message: WireMessage;
  readonly deadline: number;
  settled: boolean = false;
  frame: OpenFrame | undefined;
  /** Called when the call is given up while it is handled in this process. */
  onCancel: ((fault: Fault) => void) | undefined;
  readonly #done: (outcome: Outcome) => void;

  constructor(message: WireMessage, deadline: number, done: (outcome: Outcome) => void) {
    this.message = message;
    this.deadline = deadline;
    this.#done = done;
  }

  settle(result: Result<unknown, Fault>, started: boolean, answered: boolean): void {
    if (this.settled) return;
    this.settled = true;
    this.frame?.left();
    this.#done({ result, started, answered });
  }

  fail(fault: Fault, started: boolean): void {
    this.settle(failure(fault), started, false);
  }

  expire(): void {
    this.fail(timeoutFault(this.message.type), this.frame !== undefined);
  }

  /** Nobody waits for it any longer. */
  cancel(): void {
    const { frame } = this;
    const fault = cancelledFault(this.message.type);
    this.fail(fault, frame !== undefined);
    frame?.cancel(this);
    this.onCancel?.(fault);
  }
}

/** A frame that some replies are still missing of. */
class OpenFrame {
  readonly seq: number;
  readonly calls: readonly OutboundCall[];
  readonly #outbound: Outbound;
  readonly #abort: AbortController = new AbortController();
  readonly #unwatch: () => void;
  #missing: number;

  constructor(outbound: Outbound, seq: number, calls: readonly OutboundCall[]) {
    this.#outbound = outbound;
    this.seq = seq;
    this.calls = calls;
    this.#missing = calls.length;
    for (const call of calls) call.frame = this;
    this.#unwatch = watchDeadlines(outbound.link.runtime.clock, calls);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  take(reply: WireReply): void {
    const call = this.calls[reply.index];
    call?.settle(reply.result, reply.answered, reply.answered);
  }

  left(): void {
    if (--this.#missing === 0) this.#unwatch();
  }

  cancel(call: OutboundCall): void {
    if (this.#missing === 0) this.#abort.abort(new CatgaError(cancelledFault(call.message.type)));
    else this.#outbound.giveUp(this.seq, this.calls.indexOf(call));
  }

  /** The exchange is over; what was not answered by now never will be. */
  end(fault: Fault | undefined): void {
    const started = fault?.code !== "UNAVAILABLE";
    const { id } = this.#outbound.peer;
    for (const call of this.calls) {
      if (call.settled) continue;
      call.fail(
        fault ??
          systemFault("TRANSPORT", `"${id}" ended the exchange without an answer; the call may have run`),
        started,
      );
    }
    this.#unwatch();
  }
}

/** The way to one other node. Calls made in the same turn travel in one frame, event notices likewise. */
export class Outbound {
  readonly link: Link;
  readonly peer: Peer;
  /** What calls that failed there may cost again: a tenth of all calls, and ten a second. */
  readonly budget: TokenBucket;
  readonly #turn: () => void;
  #calls: OutboundCall[] = [];
  #notices: WireMessage[] = [];
  #givenUp: [seq: number, index: number][] = [];
  #open = 0;

  constructor(link: Link, peer: Peer) {
    this.link = link;
    this.peer = peer;
    this.budget = new TokenBucket(100, 10, link.runtime.clock.mono());
    this.#turn = createTurn(
      () => this.#calls.length + this.#notices.length + this.#givenUp.length,
      () => this.#flush(),
    );
  }

  call(call: OutboundCall): void {
    this.#calls.push(call);
    this.#turn();
  }

  /** Tells of an event, if there is room. */
  notify(message: WireMessage): void {
    if (this.#notices.length >= NOTICES) return this.link.dropped(1);
    this.#notices.push(message);
    this.#turn();
  }

  /** Tells the node that nobody waits for one of its answers. */
  giveUp(seq: number, index: number): void {
    this.#givenUp.push([seq, index]);
    this.#turn();
  }

  #flush(): void {
    while (this.#calls.length > 0 && this.#open < OPEN_FRAMES) this.#sendCalls(this.#take());
    while (this.#notices.length > 0) this.#sendNotices(this.#notices.splice(0, FRAME_CALLS));
    if (this.#givenUp.length > 0) void this.#post("cancel", this.#givenUp.splice(0)).catch(() => {});
  }

  /** The next calls for one frame, without those that ended while they waited. */
  #take(): OutboundCall[] {
    const whole = this.#calls.length <= FRAME_CALLS;
    const taken = whole ? this.#calls : this.#calls.splice(0, FRAME_CALLS);
    if (whole) this.#calls = [];
    const now = this.link.runtime.clock.mono();
    let late = false;
    for (const call of taken) {
      if (!call.settled && call.deadline <= now) call.expire();
      late ||= call.settled;
    }
    return late ? taken.filter((call) => !call.settled) : taken;
  }

  #sendCalls(calls: readonly OutboundCall[]): void {
    if (calls.length === 0) return;
    const now = this.link.runtime.clock.mono();
    const items = calls.map((call) =>
      encodeMessage({ ...call.message, remaining: Math.round(call.deadline - now) })
    );
    const seq = this.link.nextSeq();
    let body;
    try {
      body = this.link.encode("call", seq, items);
      if (body.length > FRAME_SIZE) {
        throw new RangeError(`the frame has ${body.length} bytes, of at most ${FRAME_SIZE}`);
      }
    } catch (thrown) {
      return this.#isolate(calls, thrown);
    }
    const frame = new OpenFrame(this, seq, calls);
    this.#open++;
    this.link.runtime.background(
      this.link.exchange(this.peer, body, (reply) => this.#receive(frame, reply), { signal: frame.signal })
        .then(() => this.#ended(frame, undefined), (thrown) => this.#ended(frame, faultOf(thrown))),
    );
  }

  /** One call that cannot be sent must not take the others with it. */
  #isolate(calls: readonly OutboundCall[], thrown: unknown): void {
    if (calls.length > 1) {
      const half = calls.length >> 1;
      this.#sendCalls(calls.slice(0, half));
      this.#sendCalls(calls.slice(half));
      return;
    }
    const { type } = calls[0]!.message;
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    calls[0]!.fail(systemFault("SERIALIZATION", `Cannot send "${type}": ${why}`, undefined, thrown), false);
  }

  #receive(frame: OpenFrame, reply: string | Uint8Array): void {
    for (const item of decodeEnvelope(this.link.codec, reply).items) frame.take(decodeReply(item));
  }

  #ended(frame: OpenFrame, fault: Fault | undefined): void {
    this.#open--;
    this.link.reached(this.peer, fault);
    frame.end(fault);
    if (this.#calls.length > 0) this.#turn();
  }

  #sendNotices(messages: readonly WireMessage[]): void {
    const failed = (thrown: unknown): void => {
      this.link.reached(this.peer, faultOf(thrown));
      this.link.dropped(messages.length);
    };
    try {
      this.link.runtime.background(this.#post("notice", messages.map(encodeMessage)).catch(failed));
    } catch {
      if (messages.length === 1) return this.link.dropped(1);
      for (const message of messages) this.#sendNotices([message]);
    }
  }

  #post(kind: FrameKind, items: readonly unknown[]): Promise<void> {
    const body = this.link.encode(kind, this.link.nextSeq(), items);
    return this.link.exchange(this.peer, body, () => {});
  }
}
