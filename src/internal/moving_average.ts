/**
 * A mean that forgets: a sample counts half as much after each half-life (Cormode and others, "Forward decay", 2009).
 * Samples of the same moment count alike, however many come at once.
 */
export class MovingAverage {
  readonly #halfLife: number;
  #value = 0;
  #weight = 0;
  #last = -Infinity;

  /** @param halfLife in ms, over 0 */
  constructor(halfLife: number) {
    this.#halfLife = checkedHalfLife(halfLife);
  }

  /** The mean as of the last sample; 0 before the first. */
  get value(): number {
    return this.#value;
  }

  /** Takes a sample in. One from before the last counts as if it came with it. */
  add(sample: number, now: number): void {
    this.#weight = this.weight(now) + 1;
    this.#value += (sample - this.#value) / this.#weight;
    this.#last = Math.max(this.#last, now);
  }

  /** How many samples the mean stands on; those of one half-life ago count half. */
  weight(now: number): number {
    return this.#weight === 0 ? 0 : this.#weight * decay(now - this.#last, this.#halfLife);
  }

  /** Forgets all samples. */
  clear(): void {
    this.#value = 0;
    this.#weight = 0;
    this.#last = -Infinity;
  }
}

/**
 * A mean that takes on a higher sample at once and a lower one little by little, as Finagle's "peak EWMA" does: whom it
 * ranks is left alone as soon as it gets slow, and asked again after a while.
 */
export class PeakAverage {
  readonly #halfLife: number;
  #value = 0;
  #last = -Infinity;

  /** @param halfLife in ms, over 0 */
  constructor(halfLife: number) {
    this.#halfLife = checkedHalfLife(halfLife);
  }

  /** Takes a sample in. */
  add(sample: number, now: number): void {
    const kept = decay(now - this.#last, this.#halfLife);
    this.#value = sample >= this.#value ? sample : sample + (this.#value - sample) * kept;
    this.#last = Math.max(this.#last, now);
  }

  /** The mean at a time: with no more samples it sinks to 0, by half each half-life. */
  at(now: number): number {
    return this.#value === 0 ? 0 : this.#value * decay(now - this.#last, this.#halfLife);
  }
}

const SLICES = 10;

/** How many of the calls of the last so many ms failed, to a tenth of that time. */
export class MovingShare {
  /** How many there were in all, up to the time given last. */
  total: number = 0;
  /** How many of them failed. */
  failed: number = 0;
  readonly #slice: number;
  readonly #totals: number[] = new Array(SLICES).fill(0);
  readonly #failures: number[] = new Array(SLICES).fill(0);
  #at = -Infinity;

  /** @param window in ms, over 0 */
  constructor(window: number) {
    if (!(window > 0)) throw new RangeError(`Cannot count over ${window} ms: it must be over 0`);
    this.#slice = window / SLICES;
  }

  /** Counts one. */
  add(failed: boolean, now: number): void {
    this.advance(now);
    const place = placeOf(this.#at);
    this.#totals[place]!++;
    this.total++;
    if (!failed) return;
    this.#failures[place]!++;
    this.failed++;
  }

  /** Drops what is over by now. */
  advance(now: number): void {
    const at = Math.floor(now / this.#slice);
    if (at <= this.#at) return;
    const from = Math.max(this.#at + 1, at - SLICES + 1);
    for (let slice = from; slice <= at; slice++) {
      const place = placeOf(slice);
      this.total -= this.#totals[place]!;
      this.failed -= this.#failures[place]!;
      this.#totals[place] = 0;
      this.#failures[place] = 0;
    }
    this.#at = at;
  }

  /** Forgets all of them. */
  clear(): void {
    this.#totals.fill(0);
    this.#failures.fill(0);
    this.total = 0;
    this.failed = 0;
  }
}

/** How calls to somebody went lately. */
export class CallRecord {
  /** How many failed in a row. */
  row: number = 0;
  /** How many of the window failed. */
  readonly share: MovingShare;
  /** How long answers took, in ms. */
  readonly latency: MovingAverage;

  /** Takes the window of failures and the half-life of latencies, in ms. */
  constructor(window: number, halfLife: number) {
    this.share = new MovingShare(window);
    this.latency = new MovingAverage(halfLife);
  }

  /** Counts a call; how long it took counts if it did not fail. */
  add(failed: boolean, latency: number | undefined, now: number): void {
    this.share.add(failed, now);
    this.row = failed ? this.row + 1 : 0;
    if (!failed && latency !== undefined) this.latency.add(latency, now);
  }

  /** Whether so many failed in a row, or this part of at least so many calls. */
  fails(
    limits: { readonly failures: number; readonly failureRate: number; readonly calls: number },
  ): boolean {
    const { total, failed } = this.share;
    return this.row >= limits.failures || (total >= limits.calls && failed >= total * limits.failureRate);
  }

  /** Forgets all of them. */
  clear(): void {
    this.row = 0;
    this.share.clear();
    this.latency.clear();
  }
}

/**
 * Those whose value is over `factor` times the median of the others', and over `by` above it. Among fewer than three
 * there are none.
 */
export function outliers<T>(
  items: readonly T[],
  valueOf: (item: T) => number,
  factor: number,
  by: number,
): T[] {
  if (items.length < 3) return [];
  const sorted = items.map(valueOf).sort((a, b) => a - b);
  return items.filter((item) => {
    const value = valueOf(item);
    const median = medianWithout(sorted, value);
    return value > median * factor && value > median + by;
  });
}

function medianWithout(sorted: readonly number[], value: number): number {
  const middle = (sorted.length - 2) / 2;
  const own = sorted.indexOf(value);
  const at = (place: number): number => sorted[place >= own ? place + 1 : place]!;
  return (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2;
}

function decay(ms: number, halfLife: number): number {
  return ms > 0 ? 2 ** (-ms / halfLife) : 1;
}

function placeOf(slice: number): number {
  return ((slice % SLICES) + SLICES) % SLICES;
}

function checkedHalfLife(ms: number): number {
  if (!(ms > 0)) throw new RangeError(`Cannot average with a half-life of ${ms} ms: it must be over 0`);
  return ms;
}
