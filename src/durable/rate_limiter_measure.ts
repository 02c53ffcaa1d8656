/** How much is allowed in how much time. */
export interface RateLimit {
  /** How much for each `per`, more than 0. */
  readonly rate: number;
  /** A time in ms, more than 0. */
  readonly per: number;
  /** How much at once: a whole number from 1. @default `rate`, rounded up */
  readonly burst?: number | undefined;
  /**
   * How long the store may take to answer, and how long something that was taken may wait to be used, in ms. Under
   * full load `window / (window + slack)` of the limit is reached.
   *
   * @default a twentieth of the window, from 25 to 1000
   */
  readonly slack?: number | undefined;
  /**
   * How much to take at least when the store is asked, to be used within `slack` without asking again. What is not used
   * by then is lost for a window. @default 1
   */
  readonly reserve?: number | undefined;
}

/** How many slots at most a limit is cut into: with more of them more is allowed under full load. */
const SLOTS = 32;
/** How far two clocks may drift apart: one part in a hundred. */
const DRIFT = 0.01;

/** A limit in slots. */
export class RateMeasure {
  readonly burst: number;
  /** The time in which at most `burst` is allowed, in ms. */
  readonly window: number;
  readonly slack: number;
  readonly reserve: number;
  readonly slots: number;
  /** How long an entry stays after something was taken of its slot, in ms: a window after the last of it is used. */
  readonly ttl: number;

  /** Throws a `RangeError` for a limit that is none. */
  constructor({ rate, per, burst = Math.ceil(rate), slack, reserve = 1 }: RateLimit) {
    check("rate", rate, rate > 0 && rate < Infinity, "be more than 0");
    check("per", per, per > 0 && per < Infinity, "be more than 0 ms");
    check("burst", burst, Number.isSafeInteger(burst) && burst >= 1, "be a whole number from 1 upwards");
    check(
      "reserve",
      reserve,
      Number.isSafeInteger(reserve) && reserve >= 1,
      "be a whole number from 1 upwards",
    );
    check("slack", slack, slack === undefined || (slack > 0 && slack < Infinity), "be more than 0 ms");
    this.burst = burst;
    this.window = (burst * per) / rate;
    this.slack = slack ?? Math.min(Math.max(this.window / 20, 25), 1000);
    this.reserve = Math.min(reserve, burst);
    this.slots = Math.min(burst, SLOTS);
    this.ttl = (this.window + this.slack) * (1 + DRIFT);
  }

  /** How much there is in a slot. */
  capacity(slot: number): number {
    const { burst, slots } = this;
    return Math.floor(((slot + 1) * burst) / slots) - Math.floor((slot * burst) / slots);
  }
}

function check(name: string, value: unknown, fits: boolean, wanted: string): void {
  if (!fits) throw new RangeError(`Cannot limit: ${name} is ${value}, but must ${wanted}`);
}
