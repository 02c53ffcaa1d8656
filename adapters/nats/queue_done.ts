/** How many are remembered at least; up to twice as many are. */
const LIMIT = 32_768;

/** What was done with lately, so that it is not handed out again when the server has not heard of it. */
export class DoneItems {
  // Two halves, of which the older one is given up as a whole: a map that lets go of one for each new one is slow.
  #old: Map<number, string> = new Map();
  #new: Map<number, string> = new Map();

  /** @param ack where it is acknowledged */
  add(sequence: number, ack: string): void {
    this.#new.set(sequence, ack);
    if (this.#new.size < LIMIT) return;
    this.#old = this.#new;
    this.#new = new Map();
  }

  has(sequence: number): boolean {
    return this.#new.has(sequence) || this.#old.has(sequence);
  }

  /** Where all of them are acknowledged. */
  *subjects(): Iterable<string> {
    yield* this.#old.values();
    yield* this.#new.values();
  }
}
