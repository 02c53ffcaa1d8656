import { CatgaError, systemFault } from "../result.ts";
import type { LeasedWorker } from "./leased_worker.ts";

/** What {@linkcode LogicalTime} goes by, in ms; times are since 1970. */
export interface LogicalTimeOptions {
  /** The first ms there may be. */
  readonly first: number;
  /** The last ms there may be. */
  readonly last: number;
  /** How far it may be ahead of the clock. */
  readonly ahead: number;
  /** Who has to be asked for each ms. */
  readonly lease: LeasedWorker | undefined;
}

/**
 * A time in ms that never goes back: the clock's, or its own where the clock went back, stands still, or is outpaced.
 * It never waits; where it may not go on it throws and stays as it is.
 */
export class LogicalTime {
  readonly #options: LogicalTimeOptions;
  #now: number;
  /** The latest time of the clock by which it went on. */
  #seen = -Infinity;

  constructor(options: LogicalTimeOptions) {
    this.#options = options;
    this.#now = options.first - 1;
  }

  /** The ms it is. */
  get now(): number {
    return this.#now;
  }

  /**
   * Goes on to the clock's time, but by so many ms at least. Answers the ms it is then.
   *
   * @param wall what the clock shows
   */
  goOn(wall: number, least: number): number {
    const { ahead, first, last, lease } = this.#options;
    const clock = Math.floor(wall);
    const needed = this.#now + least;
    const next = Math.max(clock, needed);
    if (!(next - clock <= ahead)) throw this.#tooEarly(clock, needed);
    if (next < first || next > last) throw outOfRange(next, first, last);
    const reached = lease === undefined ? next : Math.min(next, lease.reach(next));
    if (reached < needed) throw tooFew(lease!.worker, reached);
    if (clock > this.#seen) this.#seen = clock;
    return this.#now = reached;
  }

  #tooEarly(clock: number, needed: number): CatgaError {
    const { ahead, first } = this.#options;
    const back = this.#seen - clock;
    const data = { ahead: needed - clock, back };
    const must = `but ids may be ${ahead} ms ahead of it at most; try again in ${needed - clock - ahead} ms`;
    if (!(back <= 0) || this.#now < first) {
      const message = `Cannot make an id: the clock shows ${clock}, which is ${needed - clock} ms before ` +
        `what ids have come to, ${must}`;
      return new CatgaError(systemFault("UNAVAILABLE", message, data));
    }
    const message = `Cannot make as many ids: they have come to ${
      needed - clock
    } ms ahead of the clock, ${must}`;
    return new CatgaError(systemFault("OVERLOADED", message, data));
  }
}

function outOfRange(next: number, first: number, last: number): CatgaError {
  const message =
    `Cannot make an id of the ms ${next}: its layout and epoch have room for ${first} to ${last}`;
  return new CatgaError(systemFault("VALIDATION", message, { first, last }));
}

function tooFew(worker: number, reached: number): CatgaError {
  const message =
    `Cannot make as many ids: worker ${worker} may come to the ms ${reached} until its lease is ` +
    "prolonged; try again soon";
  return new CatgaError(systemFault("OVERLOADED", message, { reached }));
}
