import { Fifo } from "../../src/internal/fifo.ts";
import { createTurn } from "../../src/internal/turn.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { CommandFlight, type Landed } from "./commander_flight.ts";
import { notSent } from "./faults.ts";
import type { Reply, Wire } from "./wire.ts";

/** What bounds a commander. */
export interface TurnsOptions {
  /** How long an answer may take, and how long a command may wait to be sent, in ms. @default 5000 */
  readonly timeout: number;
  /** How many requests may be under way at a time. @default 8 */
  readonly requests: number;
  /** How many commands go in one request. @default 256 */
  readonly batch: number;
  /** How many commands may wait; more are refused with `OVERLOADED`. @default 10000 */
  readonly limit: number;
}

/** Takes the error of a command, and answers what stands for it; `undefined` lets it be a failure. */
export type Mend = (error: string) => Reply | undefined;

/** A command on its way. */
export interface Call {
  readonly words: readonly string[];
  readonly size: number;
  readonly what: string;
  readonly since: number;
  readonly mend: Mend | undefined;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
  over: boolean;
  /** Hears that nobody waits for it any longer. */
  left: (() => void) | undefined;
}

/** How many characters go in one request, unless one command alone has more. */
const CHARACTERS = 500_000;

/** Gathers the commands of a turn, and sends them in as few requests as may be. */
export class CommandTurns implements AsyncDisposable {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #options: TurnsOptions;
  readonly #waiting = new Fifo<Call>();
  readonly #flights = new Set<CommandFlight>();
  readonly #turn: () => void;
  #sent = 0;
  #closed = false;

  constructor(wire: Wire, clock: Clock, options: TurnsOptions) {
    this.#wire = wire;
    this.#clock = clock;
    this.#options = options;
    this.#turn = createTurn(() => this.#waiting.size, () => this.#depart());
  }

  get sent(): number {
    return this.#sent;
  }

  call(words: readonly string[], what: string, signal: AbortSignal | undefined, mend?: Mend): Promise<Reply> {
    if (signal?.aborted) return Promise.reject(cancelled(what));
    if (this.#closed) return Promise.reject(notSent("UNAVAILABLE", what, "the connection is closed"));
    if (this.#waiting.size >= this.#options.limit) {
      const why = `${this.#options.limit} commands wait already. Ask for less at once`;
      return Promise.reject(notSent("OVERLOADED", what, why));
    }
    return new Promise((resolve, reject) => {
      const size = words.reduce((sum, word) => sum + word.length + 3, 2);
      const abort = (): void => {
        end();
        reject(cancelled(what));
        call.left?.();
      };
      const end = (): void => {
        call.over = true;
        signal?.removeEventListener("abort", abort);
      };
      const call: Call = {
        words,
        size,
        what,
        since: this.#clock.mono(),
        mend,
        resolve: (reply) => (end(), resolve(reply)),
        reject: (error) => (end(), reject(error)),
        over: false,
        left: undefined,
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.push(call);
      this.#turn();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) {
      if (!call.over) call.reject(notSent("UNAVAILABLE", call.what, "the connection is closed"));
    }
    await Promise.all([...this.#flights].map((flight) => flight.landed));
  }

  #depart(): void {
    while (this.#flights.size < this.#options.requests) {
      const calls = this.#next();
      if (calls.length === 0) return;
      this.#sent += calls.length;
      const landed: Landed = (flight) => {
        this.#flights.delete(flight);
        this.#depart();
      };
      this.#flights.add(new CommandFlight(calls, this.#wire, this.#clock, this.#options.timeout, landed));
    }
  }

  /** Those that go next, in one request. */
  #next(): Call[] {
    const { batch, timeout } = this.#options;
    const calls: Call[] = [];
    let size = 0;
    for (let call = this.#waiting.peek(); call !== undefined; call = this.#waiting.peek()) {
      if (!call.over && calls.length > 0 && (calls.length >= batch || size + call.size > CHARACTERS)) break;
      this.#waiting.shift();
      if (call.over) continue;
      if (this.#clock.mono() - call.since > timeout) {
        const why = `it could not be sent in ${timeout} ms, as others are not answered`;
        call.reject(notSent("UNAVAILABLE", call.what, why));
        continue;
      }
      calls.push(call);
      size += call.size;
    }
    return calls;
  }
}

function cancelled(what: string): Error {
  return notSent("CANCELLED", what, "nobody waits for it any longer");
}
