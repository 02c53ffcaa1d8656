import { CatgaError, failure, faultOf, systemFault } from "../result.ts";
import { ReplayGuard } from "../internal/replay_window.ts";
import type { Host, Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import type { ExchangeOptions, Frame, Reply } from "../ports/transport.ts";
import {
  decodeEnvelope,
  decodeMessage,
  encodeReply,
  END,
  type Envelope,
  type ReceivedMessage,
  VALUE,
} from "../wire/envelope.ts";
import { Admission, type Capacity } from "./admission.ts";
import { INVALIDATED } from "./caching.ts";
import { CallFrame, messageOf } from "./call_frame.ts";
import type { Handling } from "./handling.ts";
import type { Link } from "./link.ts";
import { originOf } from "./received.ts";
import { ReplyWay } from "./reply_way.ts";

/** How many calls of other nodes may be under way here. */
const CALLS = 16_384;

/** Answers the frames of other nodes. */
export class Inbound {
  readonly engine: Engine;
  readonly host: Host;
  readonly handling: Handling;
  readonly link: Link;
  /** Lets calls in where there is a limit to them. */
  readonly admission: Admission | undefined;
  /** Calls under way. */
  inFlight: number = 0;
  /** Calls answered. */
  answered: number = 0;
  /** Frames refused. */
  refused: number = 0;
  /** Frames with calls under way for longer than a moment, by name. */
  readonly open: Map<string, CallFrame> = new Map();
  readonly #seen: ReplayGuard = new ReplayGuard();
  readonly #beat: (items: readonly unknown[]) => readonly unknown[] | Promise<readonly unknown[]>;

  /**
   * @param host what handlers send through
   * @param beat takes a heartbeat and answers with this node's own
   */
  constructor(
    engine: Engine,
    host: Host & { readonly handling: Handling },
    link: Link,
    beat: (items: readonly unknown[]) => readonly unknown[] | Promise<readonly unknown[]>,
    capacity?: Capacity,
  ) {
    this.engine = engine;
    this.host = host;
    this.handling = host.handling;
    this.link = link;
    this.#beat = beat;
    this.admission = capacity === undefined ? undefined : new Admission(capacity);
  }

  /** Takes a frame; settles when there will be no more replies to it. Rejects for one that cannot be read. */
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
    if (kind === "stream") return this.#stream(this.#messages(items.slice(0, 1))[0]!, reply, options);
    if (kind === "notice") return this.#notices(this.#messages(items));
    if (kind === "cancel") return this.#cancel(envelope);
    if (kind === "beat") return void await reply(this.encode("beat", await this.#beat(items)));
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
    const name = `${envelope.from}/${envelope.incarnation}/${envelope.seq}`;
    return new CallFrame(this, name, this.#messages(envelope.items), reply, options).run();
  }

  #messages(items: readonly unknown[]): ReceivedMessage[] {
    try {
      if (items.length === 0) throw new TypeError("The frame is empty");
      return items.map(decodeMessage);
    } catch (thrown) {
      throw this.#refuse(thrown);
    }
  }

  async #stream(message: ReceivedMessage, reply: Reply, { signal }: ExchangeOptions): Promise<void> {
    if (this.left || !this.engine.streams(message.type)) {
      const fault = systemFault("NO_HANDLER", `"${message.type}" is not served by the node it was sent to`);
      return void await reply(this.encode("stream", [encodeReply(0, failure(fault), false)]));
    }
    const origin = this.originOf(message);
    origin.signal = signal;
    origin.bounded = true;
    const way = new ReplyWay(
      this.link.runtime.clock,
      (item) => reply(this.encode("stream", [item])),
      message.remaining,
    );
    this.inFlight++;
    try {
      let count = 0;
      for await (const value of this.engine.flow(messageOf(message, "stream"), origin)) {
        await way.send(value === undefined ? [VALUE, count++] : [VALUE, count++, value]);
        if (way.gone) return;
      }
      await way.send([END, count]);
    } catch (thrown) {
      await way.send(encodeReply(0, failure(faultOf(thrown))));
    } finally {
      way.end();
      this.inFlight--;
      this.answered++;
    }
  }

  #notices(messages: readonly ReceivedMessage[]): void {
    for (const message of messages) {
      if (message.type === INVALIDATED) {
        this.#take(message);
        continue;
      }
      void this.engine.tell(messageOf(message, "event"), this.originOf(message));
    }
  }

  #take(message: ReceivedMessage): void {
    try {
      this.handling.caching.take(message.body);
    } catch (thrown) {
      throw this.#refuse(thrown);
    }
  }

  #cancel({ from, incarnation, items }: Envelope): void {
    for (const item of items) {
      const [seq, index] = Array.isArray(item) ? item as readonly unknown[] : [];
      if (typeof index === "number") this.open.get(`${from}/${incarnation}/${String(seq)}`)?.cancel(index);
    }
  }

  /** Writes an answer. Throws when an item cannot be encoded. */
  encode(kind: "call" | "stream" | "beat", items: readonly unknown[]): Frame {
    return this.link.encode(kind, 0, items);
  }

  /** Where a message from another node comes from, for its context. */
  originOf(message: ReceivedMessage): Origin {
    return originOf(message, this.host, this.link.runtime.clock.mono());
  }

  /** Whether this node takes no more calls. */
  get left(): boolean {
    return this.link.membership.self.status === "left";
  }

  /** Whether there is no room for another call. */
  get full(): boolean {
    return this.inFlight >= CALLS;
  }
}
