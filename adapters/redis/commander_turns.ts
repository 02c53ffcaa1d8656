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
  /** How many runs of a script go in one command, where it lets them share one. @default 64 */
  readonly runs: number;
  /** How many commands may wait; more are refused with `OVERLOADED`. @default 10000 */
  readonly limit: number;
}

/** Takes the error of a command, and answers what stands for it; `undefined` lets it be a failure. */
export type Mend = (error: string) => Reply | undefined;

/** What is asked of Redis. */
export interface Asked {
  /** A command, or how one begins that is shared. */
  readonly head: readonly string[];
  /** What of a shared command is this one's. */
  readonly own?: readonly string[] | undefined;
  readonly what: string;
  readonly signal: AbortSignal | undefined;
  readonly mend?: Mend | undefined;
}

/** A command, or a part of one, on its way. */
export class Call {
  readonly head: readonly string[];
  readonly own: readonly string[] | undefined;
  readonly what: string;
  readonly since: number;
  readonly mend: Mend | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: unknown) => void;
  over: boolean = false;
  /** Hears that nobody waits for it any longer. */
  left: (() => void) | undefined = undefined;

  constructor(
    asked: Asked,
    since: number,
    resolve: (reply: Reply) => void,
    reject: (error: unknown) => void,
  ) {
    this.head = asked.head;
    this.own = asked.own;
    this.what = asked.what;
    this.since = since;
    this.mend = asked.mend;
    this.#signal = asked.signal;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal?.addEventListener("abort", this, ONCE);
  }

  resolve(reply: Reply): void {
    this.#end();
    this.#resolve(reply);
  }

  reject(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  /** Its signal aborted. */
  handleEvent(): void {
    this.reject(cancelled(this.what));
    this.left?.();
  }

  #end(): void {
    this.over = true;
    this.#signal?.removeEventListener("abort", this);
  }
}

const ONCE = { once: true } as const;

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

  call(asked: Asked): Promise<Reply> {
    const { what, signal } = asked;
    if (signal?.aborted) return Promise.reject(cancelled(what));
    if (this.#closed) return Promise.reject(notSent("UNAVAILABLE", what, "the connection is closed"));
    if (this.#waiting.size >= this.#options.limit) {
      const why = `${this.#options.limit} commands wait already. Ask for less at once`;
      return Promise.reject(notSent("OVERLOADED", what, why));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push(new Call(asked, this.#clock.mono(), resolve, reject));
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
      const commands = this.#next();
      if (commands.length === 0) return;
      this.#sent += commands.length;
      const landed: Landed = (flight) => {
        this.#flights.delete(flight);
        this.#depart();
      };
      this.#flights.add(new CommandFlight(commands, this.#wire, this.#clock, this.#options.timeout, landed));
    }
  }

  /** Those that go next, in one request. */
  #next(): Call[][] {
    const { batch, runs, timeout } = this.#options;
    const commands: Call[][] = [];
    let size = 0;
    for (let call = this.#waiting.peek(); call !== undefined; call = this.#waiting.peek()) {
      const last = commands.at(-1);
      const shared = last !== undefined && last.length < runs && mayShare(last[0]!, call);
      if (!call.over) {
        size += sizeOf(call.own ?? []) + (shared ? 0 : sizeOf(call.head));
        if (last !== undefined && (size > CHARACTERS || (!shared && commands.length >= batch))) break;
      }
      this.#waiting.shift();
      if (call.over) continue;
      if (this.#clock.mono() - call.since > timeout) {
        const why = `it could not be sent in ${timeout} ms, as others are not answered`;
        call.reject(notSent("UNAVAILABLE", call.what, why));
        continue;
      }
      if (shared) last.push(call);
      else commands.push([call]);
    }
    return commands;
  }
}

function mayShare(one: Call, other: Call): boolean {
  if (one.own === undefined || other.own === undefined || one.head.length !== other.head.length) return false;
  return one.head.every((word, at) => word === other.head[at]);
}

/** In characters of JSON, unless some are escaped. */
function sizeOf(words: readonly string[]): number {
  let size = 2;
  for (const word of words) size += word.length + 3;
  return size;
}

function cancelled(what: string): Error {
  return notSent("CANCELLED", what, "nobody waits for it any longer");
}
