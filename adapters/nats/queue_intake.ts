import type { Msg, Subscription } from "@nats-io/nats-core";
import type { Link } from "./link.ts";
import { randomToken } from "./random_token.ts";

/** What comes of asking for items. */
export interface IntakeEvents {
  /** An item came. */
  item(message: Msg): void;
  /** So many have been handed out in all, to whomever. */
  handedOut(count: number): void;
  /** A request was refused, or nobody heard it. */
  refused(code: number): void;
}

/** How long a request stands, and how often the server says that it is still there, in ms. */
const STANDING = 30_000;
const HEARTBEAT = 2000;
/** After how long without a word requests count as lost, in ms. */
const SILENCE = 5000;
/** How many bytes a request takes at most, at least: more than any message has. */
const BYTES = 4 * 1024 * 1024;

/** Asks a consumer of the server for items, by requests that stand until they are filled. */
export class Intake {
  readonly #link: Link;
  readonly #subject: string;
  readonly #events: IntakeEvents;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  /** The requests that are not filled, oldest first: the server fills them in that order. */
  #requests: { readonly name: string; left: number }[] = [];
  #outstanding = 0;
  #names = 0;
  #heard = 0;

  constructor(link: Link, stream: string, consumer: string, events: IntakeEvents) {
    this.#link = link;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#events = events;
    this.#inbox = `catga.${link.name}.qi.${randomToken(link.runtime.random)}`;
    this.#subscription = link.connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#take(message);
      },
    });
  }

  /** How many have been asked for and not come. */
  get outstanding(): number {
    return this.#outstanding;
  }

  ask(batch: number): void {
    const { connection, runtime: { clock } } = this.#link;
    const name = `${this.#inbox}.${this.#names++}`;
    const request = {
      batch,
      expires: STANDING * 1e6,
      idle_heartbeat: HEARTBEAT * 1e6,
      max_bytes: Math.max(BYTES, 2 * (connection.info?.max_payload ?? 0)),
    };
    if (this.#requests.length === 0) this.#heard = clock.mono();
    this.#requests.push({ name, left: batch });
    this.#outstanding += batch;
    connection.publish(this.#subject, JSON.stringify(request), { reply: name });
  }

  /** Forgets requests of which nothing was heard for so long that they must be lost; whether there were some. */
  look(now: number): boolean {
    if (this.#requests.length === 0 || now - this.#heard < SILENCE) return false;
    this.reset();
    return true;
  }

  /** The server has forgotten all requests. */
  reset(): void {
    this.#requests = [];
    this.#outstanding = 0;
  }

  close(): void {
    this.reset();
    try {
      this.#subscription.unsubscribe();
    } catch {
      // The connection is closed.
    }
  }

  #take(message: Msg): void {
    this.#heard = this.#link.runtime.clock.mono();
    if (message.data.length > 0) {
      const first = this.#requests[0];
      if (first !== undefined) this.#outstanding--;
      if (first !== undefined && --first.left === 0) this.#requests.shift();
      return this.#events.item(message);
    }
    const code = message.headers?.code ?? 0;
    if (code === 100) {
      const count = Number(message.headers?.get("Nats-Last-Consumer"));
      if (count > 0) this.#events.handedOut(count);
      return;
    }
    this.#requests = this.#requests.filter(({ name }) => name !== message.subject);
    this.#outstanding = this.#requests.reduce((sum, { left }) => sum + left, 0);
    this.#events.refused(code);
  }
}
