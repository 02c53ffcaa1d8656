/** What a node takes on at once for others. */
export interface Capacity {
  /** How many calls of other nodes are handled at once, 1 or more. */
  readonly concurrency: number;
  /** How many more may wait; beyond that the one with the least time left is refused. @default concurrency */
  readonly queue?: number;
}

/** A call that asks to be let in. */
export interface Entrant {
  /** By the runtime's `clock.mono()`, in ms. */
  readonly deadline: number;
  /** Starts it. */
  begin(): void;
  /** Refuses it; it was not started. */
  turnAway(): void;
}

/**
 * Lets in as many calls as a node can take and keeps a few more waiting, ordered by the time they have left. When
 * there are too many, the one with the least is turned away: it is the one that would most likely be answered too
 * late, and what is refused at once can be tried elsewhere.
 */
export class Admission {
  readonly #concurrency: number;
  readonly #queue: number;
  readonly #waiting: Entrant[] = [];
  #inside = 0;

  constructor({ concurrency, queue = concurrency }: Capacity) {
    if (!(concurrency >= 1) || !(queue >= 0)) {
      throw new RangeError(
        `Cannot take calls: concurrency is ${concurrency} and queue ${queue}, but must be 1 and 0 or more`,
      );
    }
    this.#concurrency = concurrency;
    this.#queue = queue;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Begins a call, keeps it waiting or turns one away. */
  enter(entrant: Entrant): void {
    if (this.#inside < this.#concurrency) {
      this.#inside++;
      return entrant.begin();
    }
    this.#waiting.splice(this.#placeOf(entrant.deadline), 0, entrant);
    if (this.#waiting.length > this.#queue) this.#waiting.shift()!.turnAway();
  }

  /** A call that waits is not to begin any more. */
  forget(entrant: Entrant): void {
    const at = this.#waiting.indexOf(entrant);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** A call that began has ended. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inside--;
    else next.begin();
  }

  /** Behind all that have as little time left, or less. */
  #placeOf(deadline: number): number {
    let low = 0;
    let high = this.#waiting.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#waiting[middle]!.deadline <= deadline) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
