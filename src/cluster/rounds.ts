import type { Random } from "../ports/runtime.ts";

/** Whose turn it is: everybody once a round, in an order that is drawn anew for each (SWIM's round-robin probing). */
export class Rounds {
  readonly #random: Random;
  #waiting: string[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next few of all. */
  next<T extends { readonly id: string }>(all: readonly T[], count: number): readonly T[] {
    if (all.length <= count) return all;
    const byId = new Map(all.map((each) => [each.id, each]));
    const chosen = new Set<T>();
    while (chosen.size < count) {
      if (this.#waiting.length === 0) this.#waiting = this.some(all, all.length).map((each) => each.id);
      const next = byId.get(this.#waiting.pop()!);
      if (next !== undefined) chosen.add(next);
    }
    return [...chosen];
  }

  /** Any few of all, in any order. */
  some<T>(all: readonly T[], count: number): readonly T[] {
    const pool = [...all];
    const end = Math.min(count, pool.length);
    for (let at = 0; at < end; at++) {
      const other = at + this.#random.u32() % (pool.length - at);
      [pool[at], pool[other]] = [pool[other]!, pool[at]!];
    }
    return pool.slice(0, end);
  }
}
