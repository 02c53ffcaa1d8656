import type { Msg, Subscription } from "@nats-io/nats-core";
import type { CatgaError, SystemCode } from "../../src/result.ts";
import type { ExchangeOptions, Frame, Peer, Reply } from "../../src/ports/transport.ts";
import { isUnheard } from "./asks.ts";
import type { Link } from "./link.ts";
import { randomToken } from "./random_token.ts";
import { type ExchangeHost, failure, OpenExchange } from "./transport_exchange.ts";
import { frameOf } from "./transport_frames.ts";
import type { Outbox } from "./transport_outbox.ts";
import * as parts from "./transport_parts.ts";
import { Pieces } from "./transport_pieces.ts";
import { nodeSubject } from "./transport_subjects.ts";
import { CallTarget } from "./transport_target.ts";

/** How many calls may be open, and how many bytes or characters they may have. */
const EXCHANGES = 65_536;
const OPEN_SIZE = 64 * 1024 * 1024;
const TARGETS = 1024;
/** How many exchanges one message may ask about. */
const ASKED = 4096;

const utf8 = new TextDecoder();

/** The calls of a node that wait for replies, all of which come to one inbox. */
export class Calls implements ExchangeHost {
  readonly flood: number;
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #limit: number;
  readonly #inbox: string;
  readonly #pieces: Pieces;
  readonly #open: Map<number, OpenExchange> = new Map();
  readonly #targets: Map<string, CallTarget> = new Map();
  readonly #numbered: Map<number, CallTarget> = new Map();
  #subscription: Subscription | undefined;
  #openSize = 0;
  #seq: number;
  #count = 0;
  /** Messages that no node has sent. */
  malformed: number = 0;

  constructor(link: Link, outbox: Outbox, limit: number) {
    this.#link = link;
    this.#outbox = outbox;
    this.#limit = limit;
    this.flood = 2 * limit + 4 * 1024 * 1024;
    this.#inbox = `catga.${link.name}.r.${randomToken(link.runtime.random)}`;
    this.#pieces = new Pieces(limit * 3);
    this.#seq = link.runtime.random.u32();
  }

  /** How many calls wait. */
  get size(): number {
    return this.#open.size;
  }

  /** As `Transport.exchange`, of a transport that is open. */
  begin(to: Peer, frame: Frame, reply: Reply, options: ExchangeOptions | undefined): Promise<void> {
    const signal = options?.signal;
    const refusal = this.#refusal(frame);
    if (refusal !== undefined) return Promise.reject(failure("UNAVAILABLE", to, refusal));
    const target = this.#targetOf(to.endpoint);
    if (target === undefined) {
      return Promise.reject(failure("UNAVAILABLE", to, "no node has such an endpoint"));
    }
    this.#subscription ??= this.#listen();
    return new Promise((resolve, reject) => {
      const settle = (error: CatgaError | undefined): void => error === undefined ? resolve() : reject(error);
      const call = { seq: this.#nextSeq(), to, size: frame.length, signal };
      const exchange = new OpenExchange(this, call, reply, settle);
      this.#open.set(call.seq, exchange);
      this.#openSize += call.size;
      target.open.add(exchange);
      this.#outbox.send(
        target,
        typeof frame === "string" ? parts.CALL_TEXT : parts.CALL_BYTES,
        call.seq,
        frame,
      );
    });
  }

  credit(exchange: OpenExchange, cost: number): void {
    const target = this.#targets.get(exchange.to.endpoint);
    if (target !== undefined) this.#outbox.send(target, parts.CREDIT, exchange.seq, parts.numbersOf([cost]));
  }

  ended(exchange: OpenExchange, tell: boolean): void {
    this.#open.delete(exchange.seq);
    this.#openSize -= exchange.size;
    if (!this.#pieces.isEmpty) this.#pieces.forget(`${exchange.seq}`);
    const target = this.#targets.get(exchange.to.endpoint);
    target?.open.delete(exchange);
    if (tell && target !== undefined) this.#outbox.send(target, parts.CANCEL, exchange.seq);
  }

  /** Asks the receivers of those that have waited for a while whether they still know them. */
  look(): void {
    this.#pieces.look();
    for (const target of this.#targets.values()) {
      const old = [...target.open].filter((exchange) => ++exchange.looks > 1).map(({ seq }) => seq);
      for (let at = 0; at < old.length; at += ASKED) {
        this.#outbox.send(target, parts.WAITING, 0, parts.numbersOf(old.slice(at, at + ASKED)));
      }
    }
  }

  /** Ends all of them with `TRANSPORT`. */
  fail(why: string, tell: boolean): void {
    for (const exchange of [...this.#open.values()]) exchange.fail("TRANSPORT", why, tell);
  }

  /** The server let nothing be sent there. */
  forbid(subject: string): void {
    for (const target of this.#targets.values()) {
      if (target.subject !== subject) continue;
      for (const exchange of [...target.open]) {
        exchange.fail("UNAVAILABLE", "the server does not permit to send there", false);
      }
    }
  }

  /** Takes nothing any more. */
  close(): void {
    this.#subscription?.unsubscribe();
  }

  #refusal(frame: Frame): string | undefined {
    if (!this.#link.up) return "the server is not reached just now";
    if (frame.length > this.#limit) return `the frame is over the limit of ${this.#limit} bytes`;
    if (this.#open.size >= EXCHANGES) return `${EXCHANGES} exchanges are open, as many as may`;
    return this.#openSize + frame.length > OPEN_SIZE && this.#open.size > 0
      ? `the frames of open exchanges have ${OPEN_SIZE} bytes, as many as they may`
      : undefined;
  }

  #nextSeq(): number {
    do this.#seq = (this.#seq + 1) >>> 0; while (this.#open.has(this.#seq));
    return this.#seq;
  }

  #targetOf(endpoint: string): CallTarget | undefined {
    const known = this.#targets.get(endpoint);
    if (known !== undefined) return known;
    const subject = nodeSubject(this.#link.name, endpoint);
    if (subject === undefined) return undefined;
    if (this.#targets.size >= TARGETS) this.#forgetIdle();
    const target = new CallTarget(subject, this.#inbox, this.#count++);
    this.#targets.set(endpoint, target);
    this.#numbered.set(target.number, target);
    return target;
  }

  #forgetIdle(): void {
    for (const [endpoint, target] of this.#targets) {
      if (target.open.size > 0) continue;
      this.#targets.delete(endpoint);
      this.#numbered.delete(target.number);
    }
  }

  #listen(): Subscription {
    const skip = this.#inbox.length + 1;
    return this.#link.connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) return this.#take(message, message.subject.slice(skip));
        this.#subscription = undefined;
        this.fail(`its answers cannot be heard: ${error.message}`, true);
      },
    });
  }

  #take(message: Msg, suffix: string): void {
    if (isUnheard(message)) return this.#unheard(suffix);
    const received = parts.readParts(message.data);
    if (received === undefined) return void this.malformed++;
    for (const part of received) this.#part(part);
  }

  /** Nobody serves where calls went: those of the message never reached anybody. */
  #unheard(suffix: string): void {
    const [number, first, last] = suffix.split("-").map((text) => parseInt(text, 36));
    const target = this.#numbered.get(number!);
    for (const exchange of [...target?.open ?? []]) {
      const within = first === undefined
        ? exchange.looks > 0
        : ((exchange.seq - first) >>> 0) <= ((last! - first) >>> 0);
      if (!within) continue;
      const code: SystemCode = first === undefined ? "TRANSPORT" : "UNAVAILABLE";
      exchange.fail(code, "no node takes frames there", false);
    }
  }

  #part({ kind, seq, payload }: parts.ReceivedPart): void {
    const exchange = this.#open.get(seq);
    if (exchange === undefined) return;
    if (kind === parts.PIECE) return this.#pieces.add(`${seq}`, payload);
    const whole = (kind & parts.JOINED) === 0 ? payload : this.#pieces.end(`${seq}`, payload);
    switch (kind & ~parts.JOINED) {
      case parts.REPLY_TEXT:
      case parts.REPLY_BYTES: {
        const frame = whole && frameOf(whole, (kind & ~parts.JOINED) === parts.REPLY_TEXT);
        if (frame === undefined) exchange.fail("TRANSPORT", "a reply of it came in part, or was none", true);
        else exchange.take(frame);
        return;
      }
      case parts.END:
        return exchange.end();
      case parts.FAILED:
        return exchange.fail("TRANSPORT", utf8.decode(payload), false);
      case parts.UNTAKEN:
        return exchange.fail("UNAVAILABLE", utf8.decode(payload), false);
      default:
        this.malformed++;
    }
  }
}
