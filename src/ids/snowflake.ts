import type { Clock } from "../ports/runtime.ts";
import { Generator } from "./generator.ts";
import { checkLayout, EPOCH, layouts, type SnowflakeLayout } from "./layout.ts";
import type { LeasedWorker } from "./leased_worker.ts";
import { LogicalTime } from "./logical_time.ts";
import type { SnowflakeParts } from "./parse.ts";

/** What {@linkcode snowflake} takes. */
export interface SnowflakeOptions {
  /** Tells the time. It may jump, and stand still. */
  readonly clock: Pick<Clock, "wall">;
  /**
   * Who makes the ids: no two may be the same at a time. In a cluster one that was leased; else a number that you
   * give out yourself, and that begins anew only when its last id is more than `ahead` ms old, or with `from`.
   */
  readonly worker: number | LeasedWorker;
  /** How the bits are shared out. @default layouts.standard */
  readonly layout?: SnowflakeLayout | undefined;
  /** When the time in ids begins, in ms since 1970. @default 2024-01-01 */
  readonly epoch?: number | undefined;
  /**
   * How far the time in ids may be ahead of the clock, in ms: because it went back or stands still, or because more
   * ids are taken than a ms has. Beyond it there are none until the clock has come closer. @default 2000
   */
  readonly ahead?: number | undefined;
  /** No id is of an earlier time than this, in ms since 1970: what `until` was before. A leased worker knows. */
  readonly from?: number | undefined;
}

/**
 * Makes ids that are unique, and each larger than all before it, whichever form it is taken in. Never waits.
 *
 * What makes ids throws a `CatgaError`: `UNAVAILABLE` when the clock went back by more than `ahead` ms, `OVERLOADED`
 * when more are taken than the layout has, `VALIDATION` when the time is outside of what the layout can say, and what
 * ended the lease when a leased worker has lost it.
 */
export interface Snowflake {
  /** Who makes the ids. */
  readonly worker: number;
  /** How their bits are shared out. */
  readonly layout: SnowflakeLayout;
  /** When their time begins, in ms since 1970. */
  readonly epoch: number;
  /** All ids so far are of times before this, in ms since 1970. */
  readonly until: number;
  /** The next id. */
  next(): bigint;
  /** The next id as a number; a `RangeError` if the layout has more than 53 bits. */
  nextNumber(): number;
  /** The next id as text: 13 digits and lower-case letters that order as the ids do. */
  nextText(): string;
  /**
   * Puts the next ids into all of an array, or takes none and throws. A `Float64Array` needs a layout with 53 bits at
   * most, else there is a `RangeError`.
   */
  fill<A extends BigInt64Array | BigUint64Array | Float64Array>(ids: A): A;
  /** What one of these ids, in any form, was made of. Throws `VALIDATION` for what is none. */
  parse(id: bigint | number | string): SnowflakeParts;
}

/**
 * Makes ids of 64 bits: the time in ms, who made it, and a count. Throws a `RangeError` for options that cannot be.
 *
 * @example
 * ```ts
 * import { layouts, snowflake } from "@catga/catga/ids";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const { clock } = systemRuntime();
 * const ids = snowflake({ clock, worker: 7 });
 * console.log(ids.next(), ids.nextText(), ids.fill(new BigInt64Array(3)));
 *
 * const numbers = snowflake({ clock, worker: 7, layout: layouts.numeric });
 * console.log(numbers.nextNumber(), numbers.parse(numbers.next()).worker);
 * ```
 */
export function snowflake(options: SnowflakeOptions): Snowflake {
  const { clock, worker, layout = layouts.standard, epoch = EPOCH, ahead = 2000, from = epoch } = options;
  checkLayout(layout);
  const lease = typeof worker === "number" ? undefined : worker;
  const id = lease === undefined ? worker as number : lease.worker;
  const workers = 2 ** layout.worker;
  check("worker", id, id >= 0 && id < workers, `from 0 to ${workers - 1} in this layout`);
  check("epoch", epoch, epoch >= 0, "0 or more");
  check("ahead", ahead, ahead >= 0, "0 or more");
  check("from", from, from >= 0, "0 or more");
  const first = Math.max(epoch, from, lease?.from ?? 0);
  const last = Math.min(epoch + 2 ** layout.time - 1, Number.MAX_SAFE_INTEGER);
  return new Generator(clock, id, layout, epoch, new LogicalTime({ first, last, ahead, lease }));
}

function check(name: string, value: number, fits: boolean, wanted: string): void {
  if (Number.isSafeInteger(value) && fits) return;
  throw new RangeError(`Cannot make ids: ${name} is ${value}, but must be a whole number, ${wanted}`);
}
