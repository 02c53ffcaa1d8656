import type { Member } from "./types.ts";

/** For how long a restart is held against a node, and a change counts as told, in ms. */
const WINDOW = 60_000;

/** How many restarts within that time are free. */
const FREE = 2;

/** How many changes of a node that restarted are told within that time. */
const TOLD = 2;

/** How many heartbeats a node that restarted more often has to live through before it is given calls. */
const PROOF = 3;

/** A node came or went. */
export interface Change {
  readonly type: "joined" | "left" | "faulted" | "recovered";
  readonly member: Member;
}

interface Unrest {
  /** When it restarted, as often as matters. */
  restarts: readonly number[];
  /** When somebody was told that it came or went, as often as matters. */
  told: readonly number[];
  /** Whether who watches believes it is there. */
  here: boolean;
  /** The last change that nobody was told of. */
  held: Change | undefined;
}

/**
 * Keeps a node that crashes again and again from troubling the others (after route flap damping, RFC 2439). Its first
 * two restarts within a minute cost it nothing; from the third on it is given calls only after three heartbeats of its
 * present life. Of a node that restarted within the last minute two changes a minute are told: what happens beyond
 * them is held back, and told when there is room, unless it has undone itself by then. Each observer judges for
 * itself, by its own monotonic clock; what nodes say of themselves, and so the digest, is untouched. Remembers as many
 * nodes as it is told to, a few numbers each.
 */
export class Damping {
  /** The time by the monotonic clock, in ms, as whoever has heard something last says. */
  now: number = -Infinity;
  readonly #most: number;
  readonly #unrest: Map<string, Unrest> = new Map();

  constructor(most: number) {
    this.#most = most;
  }

  /** How many nodes are remembered just now. */
  get size(): number {
    return this.#unrest.size;
  }

  /** A node began another life without a goodbye; tells whether it has to prove itself. */
  restarted(id: string): boolean {
    const unrest = this.#of(id);
    unrest.restarts = [...this.#recent(unrest.restarts), this.now].slice(-FREE - 1);
    return unrest.restarts.length > FREE;
  }

  /** Whether a change may be told just now; one that may not is held back. */
  mayTell(change: Change): boolean {
    const { id } = change.member;
    const faulted = change.type === "faulted";
    if (!faulted && !this.#unrest.has(id)) return true;
    const unrest = this.#of(id);
    if (change.type !== "left" && this.#recent(unrest.restarts).length > 0 && this.#isFull(unrest)) {
      unrest.held = change;
      return false;
    }
    this.#tell(unrest, change);
    return true;
  }

  /** Some time has passed; answers with changes that were held back and are to be told now. */
  tick(now: number): readonly Change[] {
    this.now = now;
    const due: Change[] = [];
    for (const [id, unrest] of this.#unrest) {
      const { held } = unrest;
      if (held !== undefined && isComing(held) === unrest.here) unrest.held = undefined;
      else if (held !== undefined && !this.#isFull(unrest)) {
        this.#tell(unrest, held);
        due.push(held);
      }
      const quiet = this.#recent(unrest.restarts).length + this.#recent(unrest.told).length === 0;
      if (quiet && unrest.held === undefined) this.#unrest.delete(id);
    }
    return due;
  }

  #tell(unrest: Unrest, change: Change): void {
    unrest.told = [...unrest.told, this.now].slice(-TOLD);
    unrest.here = isComing(change);
    unrest.held = undefined;
  }

  #isFull({ told }: Unrest): boolean {
    return this.#recent(told).length >= TOLD;
  }

  #of(id: string): Unrest {
    let unrest = this.#unrest.get(id);
    if (unrest === undefined) {
      if (this.#unrest.size >= this.#most) this.#unrest.delete(this.#unrest.keys().next().value!);
      this.#unrest.set(id, unrest = { restarts: [], told: [], here: true, held: undefined });
    }
    return unrest;
  }

  #recent(times: readonly number[]): readonly number[] {
    return times.filter((time) => this.now - time < WINDOW);
  }
}

/** Whether a node that says this number has lived through enough heartbeats; it says 1 when it begins. */
export function hasProven(seq: number): boolean {
  return seq > PROOF;
}

function isComing({ type }: Change): boolean {
  return type !== "faulted" && type !== "left";
}
