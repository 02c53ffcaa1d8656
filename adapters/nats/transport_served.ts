import type { Msg, Subscription } from "@nats-io/nats-core";
import { sleep } from "../../src/internal/sleep.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Peer, Receiver } from "../../src/ports/transport.ts";
import type { Link } from "./link.ts";
import { AnsweredCaller, type AnsweringSide } from "./transport_caller.ts";
import { frameOf } from "./transport_frames.ts";
import type { Outbox } from "./transport_outbox.ts";
import * as parts from "./transport_parts.ts";
import { Pieces } from "./transport_pieces.ts";
import { inboxOf, nodeSubject, probeSubject } from "./transport_subjects.ts";

/** How many calls may be answered at a time, of how many callers. */
const ANSWERING = 65_536;
const CALLERS = 4096;
/** How many exchanges one message may ask about. */
const ASKED = 4096;
/** How much may be on its way to all callers, and to one of them at most and at least, as `costOf` counts. */
const WINDOW_ALL = 64 * 1024 * 1024;
const WINDOW_MOST = 1024 * 1024;
const WINDOW_LEAST = 32 * 1024;
/** How long a server may take to answer when a node begins or stops, in ms. */
const ANSWER_TIME = 5000;

/** A node that takes calls. */
export class Served implements AnsweringSide {
  readonly limit: number;
  readonly outbox: Outbox;
  readonly #link: Link;
  readonly #self: Peer;
  readonly #receiver: Receiver;
  readonly #pieces: Pieces;
  readonly #callers: Map<string, AnsweredCaller> = new Map();
  readonly #inboxes: Set<string> = new Set();
  #subscriptions: readonly Subscription[] = [];
  #refused: Error | undefined;
  #stopped: Promise<void> | undefined;
  answering: number = 0;
  /** Messages that no node of this cluster has sent. */
  malformed: number = 0;

  constructor(link: Link, outbox: Outbox, self: Peer, receiver: Receiver, limit: number) {
    this.#link = link;
    this.outbox = outbox;
    this.#self = self;
    this.#receiver = receiver;
    this.limit = limit;
    this.#pieces = new Pieces(limit * 3);
  }

  get window(): number {
    return Math.min(WINDOW_MOST, Math.max(WINDOW_LEAST, WINDOW_ALL / Math.max(this.answering, 1)));
  }

  /** Begins to take calls; settles when the server hands them over. */
  async start(): Promise<void> {
    const { connection } = this.#link;
    const subject = nodeSubject(this.#link.name, this.#self.endpoint)!;
    const listen = (to: string, take: (message: Msg) => void): Subscription =>
      connection.subscribe(to, {
        callback: (error, message) => {
          if (error === null) take(message);
          else this.#refused = error;
        },
      });
    this.#subscriptions = [
      listen(subject, (message) => this.#take(message)),
      listen(probeSubject(subject), (message) => this.#probed(message)),
    ];
    const reached = await this.#flushed();
    if (this.#refused === undefined && reached) return;
    await this.stop();
    const why = this.#refused?.message ?? "the server did not answer";
    throw this.#failure(`${subject} cannot be listened to: ${why}`);
  }

  /** Takes no calls any more, and breaks off those being answered. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  /** Breaks off what is being answered; without a reason, nobody is told. */
  breakOff(failed?: string): void {
    for (const caller of [...this.#callers.values()]) caller.breakOff(failed);
  }

  /** Gives up on callers that have not said for a while that they wait. */
  look(): void {
    this.#pieces.look();
    for (const caller of [...this.#callers.values()]) caller.look();
  }

  forget(caller: AnsweredCaller): void {
    this.#callers.delete(caller.inbox);
  }

  async #stop(): Promise<void> {
    this.breakOff("it stopped to serve before it had answered");
    this.outbox.flush();
    const drained = this.#subscriptions.map((subscription) => subscription.drain().catch(() => {}));
    if (this.#link.up) await this.#within(Promise.all(drained));
  }

  #take(message: Msg): void {
    const inbox = this.#inboxOf(message.reply);
    const received = inbox === undefined ? undefined : parts.readParts(message.data);
    if (received === undefined) return void this.malformed++;
    const caller = this.#callers.get(inbox!) ?? new AnsweredCaller(this, inbox!);
    for (const part of received) this.#part(caller, part);
  }

  /** As `inboxOf`; those who call often are known. */
  #inboxOf(reply: string | undefined): string | undefined {
    const inbox = reply?.slice(0, Math.max(reply.lastIndexOf("."), 0));
    if (inbox !== undefined && this.#inboxes.has(inbox)) return inbox;
    const found = inboxOf(this.#link.name, reply);
    if (found === undefined) return undefined;
    if (this.#inboxes.size >= CALLERS) this.#inboxes.clear();
    this.#inboxes.add(found);
    return found;
  }

  #part(caller: AnsweredCaller, { kind, seq, payload }: parts.ReceivedPart): void {
    switch (kind & ~parts.JOINED) {
      case parts.PIECE:
        return this.#pieces.add(keyOf(caller, seq), payload);
      case parts.CALL_TEXT:
      case parts.CALL_BYTES: {
        const whole = (kind & parts.JOINED) === 0 ? payload : this.#pieces.end(keyOf(caller, seq), payload);
        return this.#call(caller, seq, whole, (kind & ~parts.JOINED) === parts.CALL_TEXT);
      }
      case parts.CANCEL:
        this.#pieces.forget(keyOf(caller, seq));
        return caller.cancel(seq);
      case parts.CREDIT:
        return caller.credit(seq, parts.readNumbers(payload)[0] ?? 0);
      case parts.WAITING: {
        const asked = parts.readNumbers(payload.subarray(0, ASKED * 4));
        return caller.waiting(asked.filter((seq) => !this.#pieces.has(keyOf(caller, seq))));
      }
      default:
        this.malformed++;
    }
  }

  #call(caller: AnsweredCaller, seq: number, payload: Uint8Array | undefined, text: boolean): void {
    if (this.#stopped !== undefined) return caller.untaken(seq, "it serves no more");
    const known = this.#callers.has(caller.inbox);
    if (this.answering >= ANSWERING || (!known && this.#callers.size >= CALLERS)) {
      return caller.untaken(seq, "it answers as many as it may");
    }
    const frame = payload && frameOf(payload, text);
    if (frame === undefined) return caller.untaken(seq, "the frame came in part, or was none");
    if (!known) this.#callers.set(caller.inbox, caller);
    caller.answer(seq, this.#receiver, frame);
  }

  #probed(message: Msg): void {
    if (this.#stopped === undefined && inboxOf(this.#link.name, message.reply) !== undefined) {
      message.respond(this.#self.id);
    }
  }

  async #flushed(): Promise<boolean> {
    return await this.#within(this.#link.connection.flush().then(() => true, () => false)) === true;
  }

  async #within<T>(work: Promise<T>): Promise<T | void> {
    const done = new AbortController();
    const result = await Promise.race([work, sleep(this.#link.runtime.clock, ANSWER_TIME, done.signal)]);
    done.abort();
    return result;
  }

  #failure(why: string): CatgaError {
    return new CatgaError(systemFault("UNAVAILABLE", `Cannot serve node "${this.#self.id}" on NATS: ${why}`));
  }
}

/** What the pieces of a call are joined by. */
function keyOf({ inbox }: AnsweredCaller, seq: number): string {
  return `${inbox} ${seq}`;
}
