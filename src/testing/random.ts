import type { Random } from "../ports/runtime.ts";

/** Chance that comes out the same for the same seed. */
export interface SeededRandom extends Random {
  /** A number from 0 up to, but not including, 1. */
  fraction(): number;
  /** A number between two others. */
  between(least: number, most: number): number;
  /** A whole number from 0 up to, but not including, `limit`. */
  below(limit: number): number;
  /** Whether something happens that happens so often: 0 never, 1 always. Draws a number in any case. */
  chance(rate: number): boolean;
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /**
   * A source of its own that depends on the seed and the name alone, not on what was drawn before: one more draw
   * here changes nothing there.
   */
  fork(name: string): SeededRandom;
}

/**
 * Chance from a seed (sfc32, which passes PractRand). Not for secrets.
 *
 * @param seed any whole number up to 2^53
 *
 * @example
 * ```ts
 * import { seededRandom } from "@catga/catga/testing";
 * const dice = seededRandom(7);
 * console.log(dice.below(6) + 1, dice.pick(["heads", "tails"]));
 * ```
 */
export function seededRandom(seed: number): SeededRandom {
  return new Sfc32(seed, 0x9e3779b9);
}

class Sfc32 implements SeededRandom {
  readonly #seed: number;
  readonly #path: number;
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(seed: number, path: number) {
    this.#seed = seed;
    this.#path = path;
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = path | 0;
    for (let round = 0; round < 15; round++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#count++) | 0;
    const c = this.#c;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (c + (c << 3)) | 0;
    this.#c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  fraction(): number {
    return this.u32() / 2 ** 32;
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.fraction();
  }

  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  chance(rate: number): boolean {
    return this.fraction() < rate;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError("Cannot pick from a list that is empty");
    return list[this.below(list.length)]!;
  }

  fork(name: string): SeededRandom {
    let path = Math.imul(this.#path ^ 0x811c9dc5, 0x85ebca6b);
    for (let at = 0; at < name.length; at++) path = Math.imul(path ^ name.charCodeAt(at), 0x01000193);
    return new Sfc32(this.#seed, path);
  }
}
