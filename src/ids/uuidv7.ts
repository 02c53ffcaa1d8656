import { CatgaError, systemFault } from "../result.ts";
import type { Clock, Random } from "../ports/runtime.ts";

/** What {@linkcode uuidv7} takes: a `Runtime` will do. */
export interface Uuidv7Options {
  /** Tells the time. It may jump, and stand still. */
  readonly clock: Pick<Clock, "wall">;
  /** Chance; a cryptographic one if nobody is to guess the ids. */
  readonly random: Random;
}

/** How far the clock may go back and the ids still grow, in ms. */
const BACK = 2000;
const LAST_MS = 2 ** 48 - 1;
const FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/**
 * Makes a source of UUIDs of version 7 (RFC 9562): unique without a worker number, for nodes that hold no lease. Each
 * orders after those before it, as text too. Never waits and needs no clock that moves.
 *
 * A ms begins with 74 random bits, and each further id of it is a random step of up to 2^32 larger. When the clock
 * goes back by 2 seconds or less the ids stay in their ms; when by more they follow it, and their order begins anew.
 * Throws `VALIDATION` for a clock that shows no time which they can say.
 *
 * @example
 * ```ts
 * import { uuidv7, uuidv7Time } from "@catga/catga/ids";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const newId = uuidv7(systemRuntime());
 * const id = newId();
 * console.log(id, new Date(uuidv7Time(id)).toISOString());
 * ```
 */
export function uuidv7({ clock, random }: Uuidv7Options): () => string {
  const triples = Array.from({ length: 4096 }, (_, n) => hex(n, 3));
  let wall = NaN;
  let tick = -Infinity;
  // The 74 bits, from the top: 12, 30 and 32.
  let top = 0;
  let middle = 0;
  let low = 0;
  /** The text without its last 12 digits, which are the last 48 bits. */
  let head = "";

  const setHead = (): void => {
    const time = hex(tick, 12);
    const fourth = hex(0x8000 | middle >>> 16, 4);
    head = `${time.slice(0, 8)}-${time.slice(8)}-7${triples[top]}-${fourth}-`;
  };
  const begin = (ms: number): void => {
    tick = ms;
    top = random.u32() >>> 20;
    middle = random.u32() >>> 2;
    low = random.u32();
    setHead();
  };
  const carry = (): void => {
    low -= 2 ** 32;
    if ((++middle & 0xffff) !== 0) return;
    if (middle === 2 ** 30) {
      middle = 0;
      if (++top === 2 ** 12) return begin(tick + 1);
    }
    setHead();
  };
  const enter = (now: number): void => {
    const ms = Math.floor(now);
    if (!(ms >= 0 && ms <= LAST_MS)) throw unsayable(now);
    wall = now;
    if (ms > tick || ms < tick - BACK) begin(ms);
    else step();
  };
  const step = (): void => {
    low += random.u32() + 1;
    if (low >= 2 ** 32) carry();
  };

  return () => {
    const now = clock.wall();
    if (now === wall) step();
    else enter(now);
    return head + (triples[middle >>> 4 & 0xfff]! + triples[(middle & 15) << 8 | low >>> 24]! +
      triples[low >>> 12 & 0xfff]! + triples[low & 0xfff]!);
  };
}

/**
 * When a UUID of version 7 was made, in ms since 1970 by the clock of who made it. Throws a `CatgaError` with
 * `VALIDATION` for what is none.
 */
export function uuidv7Time(id: string): number {
  if (typeof id === "string" && FORM.test(id)) return parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
  const message = `Cannot read "${String(id).slice(0, 40)}" as a UUID of version 7`;
  throw new CatgaError(systemFault("VALIDATION", message));
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

function unsayable(now: number): CatgaError {
  const message = `Cannot make a UUID: the clock shows ${now}, but must show from 0 to ${LAST_MS}`;
  return new CatgaError(systemFault("VALIDATION", message));
}
