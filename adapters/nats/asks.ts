import type { Msg, MsgHdrs, NatsConnection, Subscription } from "@nats-io/nats-core";
import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import type { AskOptions } from "./link.ts";

/** How many may wait for an answer, and how many bytes or characters they may have. */
const WAITING = 65_536;
const WAITING_SIZE = 64 * 1024 * 1024;
const TIMEOUT = 5000;

interface Waiting {
  readonly subject: string;
  done(code: SystemCode | undefined, why: string | Msg): void;
}

/**
 * Requests with an inbox and a correlation of their own: of the client's each one costs a timer, a random token and,
 * where it fails, two stack traces.
 */
export class Asks {
  readonly #connection: NatsConnection;
  readonly #clock: Clock;
  readonly #inbox: string;
  readonly #up: () => boolean;
  readonly #waiting: Map<string, Waiting> = new Map();
  #subscription: Subscription | undefined;
  #count = 0;
  #size = 0;

  /** @param inbox what nobody else can guess; answers come to subjects below it */
  constructor(connection: NatsConnection, clock: Clock, inbox: string, up: () => boolean) {
    this.#connection = connection;
    this.#clock = clock;
    this.#inbox = inbox;
    this.#up = up;
  }

  /** As `Link.ask`. */
  ask(subject: string, payload: Uint8Array | string = "", options: AskOptions = {}): Promise<Msg> {
    const { timeout = TIMEOUT, headers, signal } = options;
    if (signal?.aborted) return Promise.reject(failed("CANCELLED", subject, "its signal aborted"));
    if (!this.#up()) {
      return Promise.reject(failed("UNAVAILABLE", subject, "the server is not reached just now"));
    }
    if (this.#waiting.size >= WAITING || (this.#size > 0 && this.#size + payload.length > WAITING_SIZE)) {
      return Promise.reject(failed("UNAVAILABLE", subject, "as many wait for answers as may"));
    }
    this.#subscription ??= this.#listen();
    const token = (this.#count++).toString(36);
    return new Promise((resolve, reject) => {
      const done: Waiting["done"] = (code, why) => {
        if (!this.#waiting.delete(token)) return;
        this.#size -= payload.length;
        stop();
        signal?.removeEventListener("abort", cancel);
        if (code === undefined) resolve(why as Msg);
        else reject(failed(code, subject, why as string));
      };
      const cancel = (): void => done("CANCELLED", "its signal aborted");
      const stop = this.#clock.timer(timeout, () => done("TRANSPORT", `no answer came within ${timeout} ms`));
      this.#waiting.set(token, { subject, done });
      this.#size += payload.length;
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        const reply = `${this.#inbox}.${token}`;
        this.#connection.publish(subject, payload, headers === undefined ? { reply } : { reply, headers });
      } catch (thrown) {
        done("UNAVAILABLE", thrown instanceof Error ? thrown.message : String(thrown));
      }
    });
  }

  /** The connection is lost: no answer will come any more. */
  lose(): void {
    for (const { done } of [...this.#waiting.values()]) {
      done("TRANSPORT", "the connection was lost before an answer came");
    }
  }

  /** The server let nothing be sent there. */
  forbid(subject: string): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (waiting.subject === subject) waiting.done("UNAVAILABLE", "the server does not permit it");
    }
  }

  /** Listens no more. */
  close(): Promise<void> {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    return Promise.resolve();
  }

  #listen(): Subscription {
    const skip = this.#inbox.length + 1;
    const subscription = this.#connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error !== null) {
          if (this.#subscription === subscription) this.#subscription = undefined;
          return this.lose();
        }
        const waiting = this.#waiting.get(message.subject.slice(skip));
        if (isUnheard(message)) waiting?.done("UNAVAILABLE", "nobody listens there");
        else waiting?.done(undefined, message);
      },
    });
    return subscription;
  }
}

/** Whether a message is the server's word that nobody listens. */
export function isUnheard(
  { data, headers }: { readonly data: Uint8Array; readonly headers?: MsgHdrs },
): boolean {
  return data.length === 0 && headers !== undefined && headers.code === 503;
}

function failed(code: SystemCode, subject: string, why: string): CatgaError {
  return new CatgaError(systemFault(code, `Cannot ask "${subject}" on NATS: ${why}`));
}
