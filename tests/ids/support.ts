import { expect } from "bun:test";
import { CatgaError } from "@catga/catga";

/** 2024-01-01 in UTC. */
export const EPOCH = 1_704_067_200_000;
/** When the clocks of these tests begin, in ms since 1970. */
export const START: number = EPOCH + 1_000_000_000;

/** A clock that shows what it is set to. */
export interface FakeClock {
  now: number;
  wall(): number;
  /** How often it was looked at. */
  looks: number;
}

export function fakeClock(now: number = START): FakeClock {
  return {
    now,
    looks: 0,
    wall() {
      this.looks++;
      return this.now;
    },
  };
}

/** The code of what a function throws; `undefined` if it does not. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (thrown) {
    return CatgaError.is(thrown) ? thrown.code : (thrown as Error).name;
  }
}

/** Expects each id to be larger than the one before it. */
export function expectAscending(ids: ArrayLike<bigint | number | string>): void {
  for (let at = 1; at < ids.length; at++) {
    if (!(ids[at - 1]! < ids[at]!)) expect([at, ids[at - 1], ids[at]]).toEqual("ascending" as never);
  }
}
