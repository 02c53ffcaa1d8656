/** Digits of five bits, without the letters that are mistaken for others; ASCII orders them as their values. */
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const TEXT = /^[0-7][0-9a-hjkmnp-tv-z]{12}$/;

/**
 * The text of an id: 13 digits and lower-case letters, which order as the ids do. `parseSnowflake` reads it.
 *
 * @example
 * ```ts
 * import { snowflakeText } from "@catga/catga/ids";
 * console.log(snowflakeText(4_194_304n)); // 0000000040000
 * ```
 */
export function snowflakeText(id: bigint | number): string {
  const value = BigInt(id);
  if (value < 0n || value >= 1n << 63n) {
    throw new RangeError(`Cannot write ${value} as the text of an id: it must be from 0 to 2^63 - 1`);
  }
  const low = Number(BigInt.asUintN(32, value));
  return stemOf(Number(value >> 32n), low) + DIGITS[low >>> 5 & 31]! + DIGITS[low & 31]!;
}

/** The id of a text; `undefined` if it is none. */
export function idOfText(text: string): bigint | undefined {
  if (!TEXT.test(text)) return undefined;
  let id = 0n;
  for (const digit of text) id = id << 5n | BigInt(DIGITS.indexOf(digit));
  return id;
}

/** The text of an id without its last two digits, from the id's upper and lower 32 bits. */
export function stemOf(high: number, low: number): string {
  let text = "";
  for (let shift = 28; shift >= 3; shift -= 5) text += DIGITS[high >>> shift & 31]!;
  text += DIGITS[high << 2 & 28 | low >>> 30]!;
  for (let shift = 25; shift >= 10; shift -= 5) text += DIGITS[low >>> shift & 31]!;
  return text;
}

/** All pairs of digits, in order: the last two of an id's text by its last ten bits. */
export function digitPairs(): readonly string[] {
  return Array.from({ length: 1024 }, (_, n) => DIGITS[n >>> 5]! + DIGITS[n & 31]!);
}
