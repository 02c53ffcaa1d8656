import { CatgaError, failure, type Fault, faultOf, type Result, systemFault } from "../result.ts";
import { ReplayGuard } from "../internal/replay_window.ts";
import { createTurn } from "../internal/turn.ts";
import type { Kind, Message } from "../message/message.ts";
import { type Host, Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import { cancelledFault, timeoutFault } from "../mediator/supervise.ts";
import type { ExchangeOptions, Frame, Reply } from "../ports/transport.ts";
import {
  decodeEnvelope,
  decodeMessage,
  encodeReply,
  END,
  type Envelope,
  PULSE,
  VALUE,
  type WireMessage,
} from "../wire/envelope.ts";
import { type Expiring, watchDeadlines } from "./expiry.ts";
import type { Link } from "./link.ts";

/** How many calls of other nodes may be under way here. */
const CALLS = 16_384;

/** How often a stream without news says that it is alive, in ms. */
const STREAM_PULSE = 10_000;

/** What an inbound needs of its node. */
export interface InboundNode extends Host {
  readonly engine: Engine;
  /** Takes a heartbeat and answers with one's own. */
  beat(items: readonly unknown[]): readonly unknown[];
}

/** Answers the frames of other nodes. */
export class Inbound {
  readonly node: InboundNode;
  readonly link: Link;
  /** Calls under way. */
  inFlight: number = 0;
  /** Calls answered. */
  answered: number = 0;
  /** Frames refused. */
  refused: number = 0;
  readonly #seen: ReplayGuard = new ReplayGuard();
  readonly #open: Map<string, CallFrame> = new Map();

  constructor(node: InboundNode, link: Link) {
    this.node = node;
    this.link = link;
  }

  async receive(frame: Frame, reply: Reply, options: ExchangeOptions): Promise<void> {
    const envelope = this.#read(frame);
    if (!this.#seen.first(`${envelope.from}/${envelope.incarnation}`, envelope.seq)) {
      this.refused++;
      throw new CatgaError(
        systemFault("TRANSPORT", "This frame was received before; the first copy is being answered"),
      );
    }
    const { kind, items } = envelope;
    if (kind === "call") return this.#calls(envelope, reply, options);
    if (kind === "stream") return this.#stream(decodeMessage(items[0]), reply, options);
    if (kind === "notice") return this.#notices(items);
    if (kind === "cancel") return this.#cancel(envelope);
    if (kind === "beat") return void await reply(this.#encode("beat", this.node.beat(items)));
    throw this.#refuse(new TypeError("unknown kind of frame"));
  }

  #read(frame: Frame): Envelope {
    try {
      return decodeEnvelope(this.link.codec, frame);
    } catch (thrown) {
      throw this.#refuse(thrown);
    }
  }

  #refuse(thrown: unknown): CatgaError {
    this.refused++;
    this.link.runtime.log({
      level: "warn",
      event: "frame.refused",
      message: "A frame of another node was refused",
      fields: { cause: thrown },
    });
    return new CatgaError(systemFault("SERIALIZATION", "The frame cannot be read", undefined, thrown));
  }

  #calls(envelope: Envelope, reply: Reply, options: ExchangeOptions): Promise<void> {
    let messages;
    try {
      messages = envelope.items.map(decodeMessage);
    } catch (thrown) {
      return Promise.reject(this.#refuse(thrown));
    }
    const key = `${envelope.from}/${envelope.incarnation}/${envelope.seq}`;
    const frame = new CallFrame(this, messages, (items) => reply(this.#encode("call", items)));
    this.#open.set(key, frame);
    const abort = (): void => frame.abort();
    options.signal?.addEventListener("abort", abort, { once: true });
    return frame.run().finally(() => {
      options.signal?.removeEventListener("abort", abort);
      this.#open.delete(key);
    });
  }

  async #stream(message: WireMessage, reply: Reply, { signal }: ExchangeOptions): Promise<void> {
    if (!this.node.engine.streams(message.type)) {
      const fault = systemFault("NO_HANDLER", `"${message.type}" has no handler on the node it was sent to`);
      return void await reply(this.#encode("stream", [encodeReply(0, failure(fault), false)]));
    }
    const send = (item: unknown): void | Promise<void> => reply(this.#encode("stream", [item]));
    const { clock } = this.link.runtime;
    const origin = this.originOf(message);
    origin.signal = signal;
    origin.bounded = true;
    let stop = (): void => {};
    const pulse = (): void => {
      stop = clock.timer(STREAM_PULSE, () => {
        void send([PULSE]);
        pulse();
      });
    };
    pulse();
    this.inFlight++;
    try {
      const answers = this.node.engine.flow(messageOf(message, "stream"), origin);
      let count = 0;
      for await (const value of answers) {
        await send(value === undefined ? [VALUE, count++] : [VALUE, count++, value]);
      }
      await send([END, count]);
    } catch (thrown) {
      await send(encodeReply(0, failure(faultOf(thrown))));
    } finally {
      stop();
      this.inFlight--;
      this.answered++;
    }
  }

  #notices(items: readonly unknown[]): Promise<void> {
    let messages;
    try {
      messages = items.map(decodeMessage);
    } catch (thrown) {
      return Promise.reject(this.#refuse(thrown));
    }
    for (const message of messages) {
      void this.node.engine.tell(messageOf(message, "event"), this.originOf(message));
    }
    return Promise.resolve();
  }

  #cancel({ from, incarnation, items }: Envelope): Promise<void> {
    for (const item of items) {
      const [seq, index] = Array.isArray(item) ? item as readonly unknown[] : [];
      if (typeof index === "number") this.#open.get(`${from}/${incarnation}/${String(seq)}`)?.cancel(index);
    }
    return Promise.resolve();
  }

  #encode(kind: "call" | "stream" | "beat", items: readonly unknown[]): Frame {
    return this.link.encode(kind, 0, items);
  }

  /** Where a message from the wire comes from, for its context. */
  originOf(message: WireMessage): Origin {
    const origin = new Origin();
    origin.host = this.node;
    origin.id = message.id;
    origin.correlationId = message.correlationId;
    origin.causationId = message.causationId;
    origin.headers = message.headers;
    origin.deadline = message.remaining < 0 ? Infinity : this.link.runtime.clock.mono() + message.remaining;
    origin.watched = true;
    return origin;
  }

  /** Whether there is no room for another call. */
  get full(): boolean {
    return this.inFlight >= CALLS;
  }
}

/** The calls of one frame. What is answered in one turn travels back in one frame. */
class CallFrame {
  readonly #inbound: Inbound;
  readonly #send: (items: readonly unknown[]) => void | Promise<void>;
  readonly #calls: readonly InboundCall[];
  readonly #turn: () => void;
  #replies: unknown[] = [];
  #missing: number;
  #unwatch: (() => void) | undefined;
  #resolve: (() => void) | undefined;
  #reject: ((thrown: unknown) => void) | undefined;

  constructor(
    inbound: Inbound,
    messages: readonly WireMessage[],
    send: (items: readonly unknown[]) => void | Promise<void>,
  ) {
    this.#inbound = inbound;
    this.#send = send;
    this.#calls = messages.map((message, index) =>
      new InboundCall(this, index, message, inbound.originOf(message))
    );
    this.#missing = messages.length;
    this.#turn = createTurn(() => this.#replies.length, () => this.#flush());
  }

  run(): Promise<void> {
    if (this.#missing === 0) return Promise.resolve();
    const inbound = this.#inbound;
    inbound.inFlight += this.#missing;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      for (const call of this.#calls) call.start(inbound);
      if (this.#missing > 0) this.#unwatch = watchDeadlines(inbound.link.runtime.clock, this.#calls);
    });
  }

  cancel(index: number): void {
    const call = this.#calls[index];
    call?.give(cancelledFault(call.message.type));
  }

  /** The caller is gone. */
  abort(): void {
    for (const call of this.#calls) call.give(cancelledFault(call.message.type));
  }

  answer(index: number, result: Result<unknown, Fault>, answered: boolean): void {
    this.#replies.push(encodeReply(index, result, answered));
    this.#inbound.inFlight--;
    this.#inbound.answered++;
    if (--this.#missing === 0) this.#unwatch?.();
    this.#turn();
  }

  #flush(): void {
    const replies = this.#replies;
    const last = this.#missing === 0;
    this.#replies = [];
    let sent;
    try {
      if (replies.length > 0) sent = this.#sendEach(replies);
    } catch (thrown) {
      return this.#reject!(thrown);
    }
    if (!last) return;
    if (sent === undefined) this.#resolve!();
    else sent.then(this.#resolve, this.#reject);
  }

  /** One answer that cannot be encoded must not take the others with it. */
  #sendEach(replies: readonly unknown[]): void | Promise<void> {
    try {
      return this.#send(replies);
    } catch (thrown) {
      return this.#send(replies.map((reply) => encodable(this.#inbound, reply, thrown)));
    }
  }
}

/** One call of another node. */
class InboundCall implements Expiring {
  readonly message: WireMessage;
  settled: boolean = false;
  readonly #frame: CallFrame;
  readonly #index: number;
  readonly #origin: Origin;

  constructor(frame: CallFrame, index: number, message: WireMessage, origin: Origin) {
    this.#frame = frame;
    this.#index = index;
    this.message = message;
    this.#origin = origin;
  }

  get deadline(): number {
    return this.#origin.deadline;
  }

  start(inbound: Inbound): void {
    const { engine } = inbound.node;
    const { type } = this.message;
    if (this.message.remaining <= 0) return this.#settle(failure(timeoutFault(type)), false);
    if (inbound.full) {
      return this.#settle(failure(systemFault("OVERLOADED", `"${type}" met a node that is full`)), false);
    }
    if (!engine.answers(type)) {
      return this.#settle(
        failure(systemFault("NO_HANDLER", `"${type}" has no handler on the node it was sent to`)),
        false,
      );
    }
    engine.dispatch(messageOf(this.message, "command"), this.#origin).then((result) =>
      this.#settle(result, true)
    );
  }

  expire(): void {
    this.give(timeoutFault(this.message.type));
  }

  /** Answers with a fault and tells the handler that nobody waits. */
  give(fault: Fault): void {
    if (this.settled) return;
    this.#settle(failure(fault), true);
    this.#origin.context?.cancel(fault);
  }

  #settle(result: Result<unknown, Fault>, answered: boolean): void {
    if (this.settled) return;
    this.settled = true;
    this.#frame.answer(this.#index, result, answered);
  }
}

function encodable(inbound: Inbound, reply: unknown, thrown: unknown): unknown {
  const [index] = reply as readonly [number];
  try {
    inbound.link.encode("call", 0, [reply]);
    return reply;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(thrown);
    return encodeReply(index, failure(systemFault("SERIALIZATION", `The answer cannot be sent: ${why}`)));
  }
}

function messageOf({ type, body }: WireMessage, kind: Kind): Message {
  return { kind, type, body };
}
