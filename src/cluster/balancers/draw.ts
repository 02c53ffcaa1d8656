import type { Random } from "../../ports/runtime.ts";

/** What balancers that draw lots take: a `Runtime`, or its part. */
export interface Chance {
  /** Where the lots come from. */
  readonly random: Random;
}

/** From 0 up to but not 1. */
export function unit({ random }: Chance): number {
  return random.u32() / 0x100000000;
}

/** A whole number from 0 up to but not a limit, which is above 0. */
export function below(limit: number, chance: Chance): number {
  return Math.floor(unit(chance) * limit);
}
