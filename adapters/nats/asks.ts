import type { Msg, MsgHdrs, NatsConnection, Subscription } from "@nats-io/nats-core";
import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import type { Asker, AskOptions } from "./link.ts";

/** How many may wait for an answer, and how many bytes or characters they may have. */
const WAITING = 65_536;
const WAITING_SIZE = 64 * 1024 * 1024;
const TIMEOUT = 5000;
/** How long to wait at least before those that wait are looked over again, in ms. */
const PAUSE = 10;

interface Waiting {
  readonly asker: Asker;
  readonly subject: string;
  readonly size: number;
  readonly timeout: number;
  /** When its time is over, by the monotonic clock. */
  readonly until: number;
  /** Ends listening to its signal. */
  deafen: (() => void) | undefined;
}

/**
 * Requests with an inbox and a correlation of their own, and one timer for all: of the client's each one costs a timer,
 * a random token and, where it fails, two stack traces.
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
  /** When those that wait are looked over next. */
  #next = Infinity;
  #stop: () => void = nothing;

  /** @param inbox what nobody else can guess; answers come to subjects below it */
  constructor(connection: NatsConnection, clock: Clock, inbox: string, up: () => boolean) {
    this.#connection = connection;
    this.#clock = clock;
    this.#inbox = `${inbox}.`;
    this.#up = up;
  }

  /** As `Link.ask`. */
  ask(subject: string, payload?: Uint8Array | string, options?: AskOptions): Promise<Msg> {
    return new Promise((answered, failed) => this.askFor({ answered, failed }, subject, payload, options));
  }

  /** As `Link.askFor`. */
  askFor(
    asker: Asker,
    subject: string,
    payload: Uint8Array | string = "",
    { timeout = TIMEOUT, headers, signal }: AskOptions = {},
  ): void {
    const size = payload.length;
    if (signal?.aborted) return asker.failed(failure("CANCELLED", subject, "its signal aborted"));
    if (!this.#up()) {
      return asker.failed(failure("UNAVAILABLE", subject, "the server is not reached just now"));
    }
    if (this.#waiting.size >= WAITING || (this.#size > 0 && this.#size + size > WAITING_SIZE)) {
      return asker.failed(failure("UNAVAILABLE", subject, "as many wait for answers as may"));
    }
    this.#subscription ??= this.#listen();
    const token = `${this.#count++}`;
    const until = this.#clock.mono() + timeout;
    const waiting: Waiting = { asker, subject, size, timeout, until, deafen: undefined };
    this.#waiting.set(token, waiting);
    this.#size += size;
    if (until < this.#next) this.#lookAt(until);
    if (signal !== undefined) this.#heed(token, waiting, signal);
    const reply = this.#inbox + token;
    try {
      this.#connection.publish(subject, payload, headers === undefined ? { reply } : { reply, headers });
    } catch (thrown) {
      this.#fail(token, waiting, "UNAVAILABLE", thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  /** The connection is lost: no answer will come any more. */
  lose(): void {
    this.#rest();
    for (const [token, waiting] of [...this.#waiting]) {
      this.#fail(token, waiting, "TRANSPORT", "the connection was lost before an answer came");
    }
  }

  /** The server let nothing be sent there. */
  forbid(subject: string): void {
    for (const [token, waiting] of [...this.#waiting]) {
      if (waiting.subject !== subject) continue;
      this.#fail(token, waiting, "UNAVAILABLE", "the server does not permit it");
    }
  }

  /** Listens no more; what waits for an answer is given up. */
  close(): Promise<void> {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.lose();
    return Promise.resolve();
  }

  #listen(): Subscription {
    const skip = this.#inbox.length;
    const subscription = this.#connection.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (error === null) return this.#take(message, message.subject.slice(skip));
        if (this.#subscription === subscription) this.#subscription = undefined;
        this.lose();
      },
    });
    return subscription;
  }

  #take(message: Msg, token: string): void {
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    if (isUnheard(message)) return this.#fail(token, waiting, "UNAVAILABLE", "nobody listens there");
    this.#forget(token, waiting);
    waiting.asker.answered(message);
  }

  #fail(token: string, waiting: Waiting, code: SystemCode, why: string): void {
    if (this.#forget(token, waiting)) waiting.asker.failed(failure(code, waiting.subject, why));
  }

  #forget(token: string, { size, deafen }: Waiting): boolean {
    if (!this.#waiting.delete(token)) return false;
    this.#size -= size;
    deafen?.();
    return true;
  }

  #heed(token: string, waiting: Waiting, signal: AbortSignal): void {
    const cancel = (): void => this.#fail(token, waiting, "CANCELLED", "its signal aborted");
    signal.addEventListener("abort", cancel, { once: true });
    waiting.deafen = () => signal.removeEventListener("abort", cancel);
  }

  #lookAt(time: number): void {
    this.#stop();
    this.#next = time;
    this.#stop = this.#clock.timer(time - this.#clock.mono(), () => this.#look());
  }

  /** Ends those whose time is over. */
  #look(): void {
    const now = this.#clock.mono();
    let next = Infinity;
    this.#next = now;
    for (const [token, waiting] of this.#waiting) {
      const { timeout, until } = waiting;
      if (until <= now) this.#fail(token, waiting, "TRANSPORT", `no answer came within ${timeout} ms`);
      else if (until < next) next = until;
    }
    if (next === Infinity) this.#rest();
    else this.#lookAt(Math.max(next, now + PAUSE));
  }

  #rest(): void {
    this.#stop();
    this.#stop = nothing;
    this.#next = Infinity;
  }
}

/** Whether a message is the server's word that nobody listens. */
export function isUnheard(
  { data, headers }: { readonly data: Uint8Array; readonly headers?: MsgHdrs },
): boolean {
  return data.length === 0 && headers !== undefined && headers.code === 503;
}

function failure(code: SystemCode, subject: string, why: string): CatgaError {
  return new CatgaError(systemFault(code, `Cannot ask "${subject}" on NATS: ${why}`));
}

function nothing(): void {}
