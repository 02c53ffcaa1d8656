import { CatgaError, systemFault } from "../result.ts";
import { checkLayout, EPOCH, layouts, type SnowflakeLayout } from "./layout.ts";
import { idOfText } from "./text.ts";

/** What an id was made of. */
export interface SnowflakeParts {
  /** The id itself. */
  readonly id: bigint;
  /** When it was made, in ms since 1970: at most `ahead` ms later than the clock said. */
  readonly time: number;
  /** Who made it. */
  readonly worker: number;
  /** Which of that worker's ids of that ms it is, from 0. */
  readonly sequence: number;
}

/** What ids are read by: the same with which they were made. */
export interface ParseOptions {
  /** How the bits are shared out. @default layouts.standard */
  readonly layout?: SnowflakeLayout | undefined;
  /** When the time in ids begins, in ms since 1970. @default 2024-01-01 */
  readonly epoch?: number | undefined;
}

/**
 * What an id was made of: a bigint, a number of a layout with 53 bits at most, or its text.
 *
 * Throws a `CatgaError` with `VALIDATION` for what is no id of the layout. Decimal digits are no text of an id: give
 * them as `BigInt(digits)`.
 *
 * @example
 * ```ts
 * import { parseSnowflake } from "@catga/catga/ids";
 * const { time, worker, sequence } = parseSnowflake(4_194_304n);
 * console.log(new Date(time).toISOString(), worker, sequence); // 2024-01-01T00:00:00.001Z 0 0
 * ```
 */
export function parseSnowflake(id: bigint | number | string, options: ParseOptions = {}): SnowflakeParts {
  const { layout = layouts.standard, epoch = EPOCH } = options;
  checkLayout(layout);
  const { time, worker, sequence } = layout;
  const value = valueOf(id);
  if (value === undefined || value >> BigInt(time + worker + sequence) !== 0n) {
    const message = `Cannot read "${String(id).slice(0, 40)}" as an id of ${time}-${worker}-${sequence} bits`;
    throw new CatgaError(systemFault("VALIDATION", message));
  }
  return {
    id: value,
    time: epoch + Number(value >> BigInt(worker + sequence)),
    worker: Number(BigInt.asUintN(worker, value >> BigInt(sequence))),
    sequence: Number(BigInt.asUintN(sequence, value)),
  };
}

function valueOf(id: bigint | number | string): bigint | undefined {
  if (typeof id === "bigint") return id;
  if (typeof id === "number") return Number.isSafeInteger(id) ? BigInt(id) : undefined;
  return typeof id === "string" ? idOfText(id) : undefined;
}
