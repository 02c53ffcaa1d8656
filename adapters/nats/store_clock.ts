import type { Clock } from "../../src/ports/runtime.ts";

/** How far two clocks may drift apart: one part in a hundred. */
const DRIFT = 0.01;
/** How long a reading serves to say that the time of an entry is over, in ms. */
const FRESH = 1000;

/** A message and when the server took it, in ms since 1970 by its clock. */
export interface Stamped {
  readonly stamp: number;
  readonly sequence: number;
}

/** A reading of the server's clock: what it showed at some moment between two of our own monotonic clock. */
export interface Reading extends Stamped {
  readonly since: number;
  readonly until: number;
}

/**
 * The server's clock, as far as it is known here: by readings of it and the monotonic clock, never by a date of this
 * machine. What is not over for sure is not over.
 */
export class ServerClock {
  readonly #clock: Pick<Clock, "mono">;
  #reading: Reading | undefined;
  #underWay: Promise<void> | undefined;

  constructor(clock: Pick<Clock, "mono">) {
    this.#clock = clock;
  }

  /** Whether a time to live may be over. */
  mayBeOver(stamp: number, ttl: number): boolean {
    return stamp + ttl <= this.#latest();
  }

  /** Whether a time to live is over; reads the clock if that is not known well enough. */
  async isOver(
    { stamp, sequence }: Stamped,
    ttl: number,
    read: () => Promise<Reading>,
  ): Promise<boolean> {
    if (!this.mayBeOver(stamp, ttl)) return false;
    const reading = this.#reading;
    // What came later and is stamped earlier shows that the server's clock was set back.
    const back = reading !== undefined && sequence > reading.sequence && stamp < reading.stamp;
    if (back || this.#age() > FRESH) await this.look(read);
    return stamp + ttl <= this.#earliest();
  }

  /** For how long by our clock a time to live is certainly not over, in ms. */
  certain(stamp: number, ttl: number): number {
    return Math.max((stamp + ttl - this.#latest()) / (1 + DRIFT), 0);
  }

  /** For how long by our clock a time to live goes on, in ms, about. */
  rest(stamp: number, ttl: number): number {
    if (this.#reading === undefined) return 0;
    return Math.max(stamp + ttl - (this.#latest() + this.#earliest()) / 2, 0);
  }

  /** Reads the clock; once for all who ask meanwhile. */
  look(read: () => Promise<Reading>): Promise<void> {
    return this.#underWay ??= read().then((reading) => {
      this.#reading = reading;
    }).finally(() => this.#underWay = undefined);
  }

  #age(): number {
    return this.#reading === undefined ? Infinity : this.#clock.mono() - this.#reading.until;
  }

  #earliest(): number {
    if (this.#reading === undefined) return -Infinity;
    return this.#reading.stamp + this.#age() * (1 - DRIFT);
  }

  #latest(): number {
    if (this.#reading === undefined) return Infinity;
    const { stamp, since } = this.#reading;
    return stamp + (this.#clock.mono() - since) * (1 + DRIFT);
  }
}
