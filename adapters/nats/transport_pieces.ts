import { readJoined } from "./transport_parts.ts";

/** How many looks may pass without a piece: slow networks take their time for one. */
const IDLE = 30;

/** How much may wait for its end at a time, in bytes. */
const TOTAL = 64 * 1024 * 1024;

interface Begun {
  readonly pieces: Uint8Array[];
  size: number;
  /** How many looks ago a piece came. */
  idle: number;
}

/** Joins what came in pieces. Bounded: what would be too large is let go, and its end joins nothing. */
export class Pieces {
  readonly #limit: number;
  readonly #begun: Map<string, Begun> = new Map();
  #total = 0;

  /** @param limit the size of the largest whole, in bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether there are none of anything. */
  get isEmpty(): boolean {
    return this.#begun.size === 0;
  }

  /** Whether pieces of it are here. */
  has(key: string): boolean {
    return this.#begun.has(key);
  }

  /** Keeps a piece. */
  add(key: string, piece: Uint8Array): void {
    let begun = this.#begun.get(key);
    if (begun === undefined) this.#begun.set(key, begun = { pieces: [], size: 0, idle: 0 });
    begun.idle = 0;
    begun.size += piece.length;
    this.#total += piece.length;
    if (begun.size > this.#limit || this.#total > TOTAL) return this.forget(key);
    begun.pieces.push(piece.slice());
  }

  /** The whole of what ends with this; `undefined` unless all of it came. */
  end(key: string, payload: Uint8Array): Uint8Array | undefined {
    const begun = this.#begun.get(key);
    this.forget(key);
    const joined = readJoined(payload);
    if (begun === undefined || joined === undefined || begun.size + joined.last.length !== joined.size) {
      return undefined;
    }
    const whole = new Uint8Array(joined.size);
    let at = 0;
    for (const piece of [...begun.pieces, joined.last]) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  /** Gives up on one. */
  forget(key: string): void {
    this.#total -= this.#begun.get(key)?.size ?? 0;
    this.#begun.delete(key);
  }

  /** Gives up on those that nothing was added to for a while. */
  look(): void {
    for (const [key, begun] of this.#begun) if (++begun.idle > IDLE) this.forget(key);
  }
}
