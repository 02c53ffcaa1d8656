/** Counts that far below a sender's highest one are refused: nobody knows any longer whether they were seen. */
const BITS = 4096;

/** The sliding window of RFC 4303: which of one sender's latest 4096 counts were seen, in 512 bytes. */
export class CountWindow {
  /** The latest time that came with a count, for whom counts carry times. */
  latest: number = -Infinity;
  #highest: number;
  readonly #seen: Uint32Array = new Uint32Array(BITS / 32);

  /** Takes the first count that is seen; it has yet to be given to {@linkcode CountWindow.first}. */
  constructor(count: number) {
    // What came before the first count seen may still arrive: it has been overtaken.
    this.#highest = count - 1;
  }

  /** Whether a count is new; remembers it if so. */
  first(count: number): boolean {
    const seen = this.#seen;
    const highest = this.#highest;
    const word = (count % BITS) >>> 5;
    const bit = 1 << (count % 32);
    if (count > highest) {
      if (count - highest >= BITS) seen.fill(0);
      else for (let at = highest + 1; at <= count; at++) seen[(at % BITS) >>> 5]! &= ~(1 << (at % 32));
      this.#highest = count;
    } else if (highest - count >= BITS || (seen[word]! & bit) !== 0) {
      return false;
    }
    seen[word]! |= bit;
    return true;
  }
}

/** Tells frames that were seen before, for at most `limit` senders; a sender over it takes the oldest one's place. */
export class ReplayGuard {
  readonly #limit: number;
  readonly #senders: Map<string, CountWindow> = new Map();

  constructor(limit = 4096) {
    this.#limit = limit;
  }

  /** Whether this is the first frame with this count of this life of a sender; counts are whole numbers from 0. */
  first(sender: string, count: number): boolean {
    let window = this.#senders.get(sender);
    if (window === undefined) {
      if (this.#senders.size >= this.#limit) this.#senders.delete(this.#senders.keys().next().value!);
      window = new CountWindow(count);
      this.#senders.set(sender, window);
    }
    return window.first(count);
  }
}
