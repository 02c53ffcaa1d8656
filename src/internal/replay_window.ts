/** Counts that far below a sender's highest one are refused: nobody knows any longer whether they were seen. */
const BITS = 4096;

/** The sliding window of RFC 4303: which of one sender's latest 4096 counts were seen, in 512 bytes. */
class CountWindow {
  latest = -Infinity;
  #highest: number;
  readonly #seen: Uint32Array = new Uint32Array(BITS / 32);

  constructor(count: number) {
    // What came before the first count seen may still arrive: it has been overtaken.
    this.#highest = count - 1;
  }

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

/** Tells frames that were seen before where frames carry a time that others cannot change. */
export class TimedReplayGuard {
  readonly #ms: number;
  readonly #limit: number;
  readonly #senders: Map<string, CountWindow> = new Map();
  #floor = -Infinity;

  /**
   * Frames older than `ms` are refused by their time before they come here, so a sender that has been silent that
   * long is forgotten safely. When all of `limit` senders are recent the one silent longest goes; from then on a
   * sender that is not known is taken only for frames later than the last one of those that went.
   */
  constructor(ms: number, limit = 4096) {
    this.#ms = ms;
    this.#limit = limit;
  }

  /** How many senders are remembered just now. */
  get size(): number {
    return this.#senders.size;
  }

  /**
   * Whether this is the first frame with this count of this life of a sender.
   *
   * @param time when the sender says it sent the frame, in ms since 1970
   * @param now this node's time, in ms since 1970
   */
  first(sender: string, count: number, time: number, now: number): boolean {
    let window = this.#senders.get(sender);
    if (window === undefined) {
      if (time <= this.#floor) return false;
      if (this.#senders.size >= this.#limit) this.#makeRoom(now);
      window = new CountWindow(count);
      this.#senders.set(sender, window);
    }
    if (!window.first(count)) return false;
    if (time > window.latest) window.latest = time;
    return true;
  }

  #makeRoom(now: number): void {
    let oldest: string | undefined;
    let silent = Infinity;
    for (const [name, { latest }] of this.#senders) {
      if (latest < now - this.#ms) this.#senders.delete(name);
      else if (latest < silent) {
        silent = latest;
        oldest = name;
      }
    }
    if (this.#senders.size < this.#limit || oldest === undefined) return;
    this.#senders.delete(oldest);
    if (silent > this.#floor) this.#floor = silent;
  }
}
