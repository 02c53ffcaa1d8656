/** How the bits of an id are shared out, from the top. All of them together are 63 at most. */
export interface SnowflakeLayout {
  /** Bits of the ms since the epoch: how long there are ids. 1 to 53. */
  readonly time: number;
  /** Bits of the worker: how many may make ids at a time. 0 to 22. */
  readonly worker: number;
  /** Bits of the count within a ms: how many ids a worker can make. 1 to 22, with those of the worker 32 at most. */
  readonly sequence: number;
}

/** The layouts that have a name. The ids a second are the most that one worker can make for long, on any machine. */
export interface SnowflakeLayouts {
  /** 41-10-12: 69 years, 1,024 workers, 4,096,000 ids a second. */
  readonly standard: SnowflakeLayout;
  /** 44-8-11: 557 years, 256 workers, 2,048,000 ids a second. */
  readonly lasting: SnowflakeLayout;
  /** 41-5-7: its ids are safe as numbers. 69 years, 32 workers, 128,000 ids a second. */
  readonly numeric: SnowflakeLayout;
  /** 41-4-18: 69 years, 16 workers, 262,144,000 ids a second. */
  readonly dense: SnowflakeLayout;
}

/**
 * The layouts that have a name.
 *
 * @example
 * ```ts
 * import { layouts } from "@catga/catga/ids";
 * console.log(2 ** layouts.standard.worker); // 1024 workers
 * ```
 */
export const layouts: SnowflakeLayouts = {
  standard: { time: 41, worker: 10, sequence: 12 },
  lasting: { time: 44, worker: 8, sequence: 11 },
  numeric: { time: 41, worker: 5, sequence: 7 },
  dense: { time: 41, worker: 4, sequence: 18 },
};

/** 2024-01-01 in UTC, in ms since 1970: when the time in ids begins unless said otherwise. */
export const EPOCH = 1_704_067_200_000;

/** Throws a `RangeError` for a layout that cannot be. */
export function checkLayout({ time, worker, sequence }: SnowflakeLayout): void {
  const check = (name: string, bits: number, least: number, most: number): void => {
    if (Number.isInteger(bits) && bits >= least && bits <= most) return;
    throw new RangeError(
      `Cannot lay out ids: ${name} has ${bits} bits, but must have ${least} to ${most}`,
    );
  };
  check("time", time, 1, 53);
  check("worker", worker, 0, 22);
  check("sequence", sequence, 1, 22);
  check("worker and sequence together", worker + sequence, 1, 32);
  check("the whole id", time + worker + sequence, 1, 63);
}

/** Whether ids of this layout are safe as numbers. */
export function isNumeric({ time, worker, sequence }: SnowflakeLayout): boolean {
  return time + worker + sequence <= 53;
}
