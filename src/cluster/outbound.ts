import { type Fault, faultOf, systemFault } from "../result.ts";
import { TokenBucket } from "../internal/token_bucket.ts";
import { createTurn } from "../internal/turn.ts";
import type { Peer } from "../ports/transport.ts";
import { encodeMessage, type FrameKind, type WireMessage } from "../wire/envelope.ts";
import type { Link } from "./link.ts";
import { type FrameWay, OpenFrame } from "./open_frame.ts";
import type { RemoteCall } from "./remote_call.ts";

/** How many calls go into one frame, and how many characters or bytes. */
const FRAME_CALLS = 256;
const FRAME_SIZE = 2 ** 21;

/** How many frames to one node may be waiting for their replies, and how many calls for a frame. */
const OPEN_FRAMES = 256;
const CALLS = 65_536;

/** How often calls that wait for a frame are looked over, in ms. */
const SWEEP = 50;

/** How long an exchange may go on when nothing more is to come of it, in ms. */
const LINGER = 5000;

/** How many event notices may wait for a node, and how many frames of them may be on their way. */
const NOTICES = 10_000;
const NOTICE_FRAMES = 4;

/** The way to one other node. Calls made in the same turn travel in one frame, event notices likewise. */
export class Outbound implements FrameWay {
  readonly link: Link;
  readonly peer: Peer;
  /** What calls that failed there may cost again: a tenth of all calls, and ten a second. */
  readonly budget: TokenBucket;
  readonly #turn: () => void;
  #calls: RemoteCall[] = [];
  #notices: WireMessage[] = [];
  #givenUp: [seq: number, index: number][] = [];
  readonly #open: Set<OpenFrame> = new Set();
  readonly #answered: Set<OpenFrame> = new Set();
  #sweep: (() => void) | undefined;
  #closing: (() => void) | undefined;
  #closed = false;
  #telling = 0;

  constructor(link: Link, peer: Peer) {
    this.link = link;
    this.peer = peer;
    this.budget = new TokenBucket(100, 10, link.runtime.clock.mono());
    const size = () => this.#calls.length + this.#notices.length + this.#givenUp.length;
    this.#turn = createTurn(size, () => this.#flush());
  }

  /** Sends a call with the others of this turn. */
  call(call: RemoteCall): void {
    if (this.#calls.length >= CALLS) {
      const fault = systemFault(
        "OVERLOADED",
        `Cannot send "${call.type}": ${CALLS} calls wait for "${this.peer.id}"`,
      );
      return call.settle({ ok: false, error: fault }, false, false);
    }
    this.#calls.push(call);
    this.#turn();
  }

  /** Tells of an event, if there is room. */
  notify(message: WireMessage): void {
    if (this.#notices.length >= NOTICES) return this.#lose(1);
    this.#notices.push(message);
    this.#turn();
  }

  /** The node is dead: nobody there will answer any more. */
  lost(): void {
    const message = `"${this.peer.id}" was declared dead while it had the call, which may have run`;
    for (const frame of this.#open) frame.lose(systemFault("TRANSPORT", message));
  }

  /** An exchange that has all its answers does not count as open, and is ended if it goes on. */
  answered(frame: OpenFrame): void {
    this.#open.delete(frame);
    if (this.#closed) return frame.close();
    this.#answered.add(frame);
    this.#closing ??= this.link.runtime.clock.timer(LINGER, () => {
      this.#closing = undefined;
      for (const frame of this.#answered) frame.close();
    });
  }

  /** Nothing more goes this way; what is still to come ends when it has come. */
  close(): void {
    this.#closed = true;
    this.#closing?.();
    for (const frame of this.#answered) frame.close();
  }

  giveUp(seq: number, index: number): void {
    this.#givenUp.push([seq, index]);
    this.#turn();
  }

  #flush(): void {
    while (this.#calls.length > 0 && this.#open.size < OPEN_FRAMES) this.#sendCalls(this.#take());
    while (this.#notices.length > 0 && this.#telling < NOTICE_FRAMES) {
      this.#sendNotices(this.#notices.splice(0, FRAME_CALLS));
    }
    if (this.#calls.length > 0) this.#sweepLater();
    if (this.#givenUp.length > 0) void this.#post("cancel", this.#givenUp.splice(0)).catch(() => {});
  }

  /** Calls that wait for a frame to come back have their deadlines too. */
  #sweepLater(): void {
    const { clock } = this.link.runtime;
    this.#sweep ??= clock.timer(SWEEP, () => {
      this.#sweep = undefined;
      const now = clock.mono();
      for (const call of this.#calls) if (call.deadline <= now) call.expire();
      this.#turn();
    });
  }

  /** The next calls for one frame, without those that ended while they waited. */
  #take(): RemoteCall[] {
    const whole = this.#calls.length <= FRAME_CALLS;
    const taken = whole ? this.#calls : this.#calls.splice(0, FRAME_CALLS);
    if (whole) this.#calls = [];
    return taken.some((call) => call.done) ? taken.filter((call) => !call.done) : taken;
  }

  #sendCalls(calls: readonly RemoteCall[]): void {
    if (calls.length === 0) return;
    const { clock } = this.link.runtime;
    const now = clock.mono();
    const items = new Array<unknown>(calls.length);
    for (let at = 0; at < calls.length; at++) {
      const { message, deadline } = calls[at]!;
      items[at] = encodeMessage(message, Math.max(Math.round(deadline - now), 0));
    }
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
    const frame = new OpenFrame(this, seq, calls, clock);
    this.#open.add(frame);
    this.link.runtime.background(
      this.link.exchange(this.peer, body, (reply) => frame.take(reply), frame)
        .then(() => this.#ended(frame, undefined), (thrown) => this.#ended(frame, faultOf(thrown))),
    );
  }

  /** One call that cannot be sent must not take the others with it. */
  #isolate(calls: readonly RemoteCall[], thrown: unknown): void {
    if (calls.length > 1) {
      const half = calls.length >> 1;
      this.#sendCalls(calls.slice(0, half));
      this.#sendCalls(calls.slice(half));
      return;
    }
    const call = calls[0]!;
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    call.fail(systemFault("SERIALIZATION", `Cannot send "${call.type}": ${why}`, undefined, thrown));
  }

  #ended(frame: OpenFrame, fault: Fault | undefined): void {
    this.#open.delete(frame);
    this.#answered.delete(frame);
    this.link.reached(this.peer, fault);
    frame.end(fault);
    if (this.#calls.length > 0) this.#turn();
  }

  #sendNotices(messages: readonly WireMessage[]): void {
    const told = (fault: Fault | undefined): void => {
      this.#telling--;
      this.link.reached(this.peer, fault);
      if (fault !== undefined) this.#lose(messages.length);
      if (this.#notices.length > 0) this.#turn();
    };
    try {
      const items = messages.map((message) => encodeMessage(message, -1));
      const posted = this.#post("notice", items);
      this.#telling++;
      this.link.runtime.background(posted.then(() => told(undefined), (thrown) => told(faultOf(thrown))));
    } catch {
      if (messages.length === 1) return this.#lose(1);
      for (const message of messages) this.#sendNotices([message]);
    }
  }

  #lose(count: number): void {
    this.link.dropped += count;
    this.link.missed?.(this.peer.id);
  }

  #post(kind: FrameKind, items: readonly unknown[]): Promise<void> {
    const body = this.link.encode(kind, this.link.nextSeq(), items);
    const limit = new AbortController();
    const stop = this.link.runtime.clock.timer(LINGER, () => limit.abort());
    return this.link.exchange(this.peer, body, () => {}, limit).finally(stop);
  }
}
