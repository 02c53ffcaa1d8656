import type { Clock } from "../ports/runtime.ts";
import { isNumeric, type SnowflakeLayout } from "./layout.ts";
import type { LogicalTime } from "./logical_time.ts";
import { parseSnowflake, type SnowflakeParts } from "./parse.ts";
import type { Snowflake } from "./snowflake.ts";
import { digitPairs, stemOf } from "./text.ts";

/** What makes ids out of a logical time and a count. */
export class Generator implements Snowflake {
  readonly worker: number;
  readonly layout: SnowflakeLayout;
  readonly epoch: number;
  readonly #clock: Pick<Clock, "wall">;
  readonly #time: LogicalTime;
  /** How many ids a ms has. */
  readonly #size: number;
  /** The last id as a bigint, and as its two halves: no arithmetic with bigints, which would cost one more each. */
  readonly #id: BigUint64Array;
  readonly #halves: Uint32Array;
  readonly #low: 0 | 1;
  readonly #numeric: boolean;
  /** What the clock showed last; `NaN` if it has to be looked at. */
  #wall = NaN;
  #tick = NaN;
  /** How many ids are left in this ms. */
  #left = 0;
  /** The first id of this ms, if ids are safe as numbers. */
  #base = 0;
  /** All that ids end with as text; made when it is wanted. */
  #pairs: readonly string[] = [];
  /** The text of the last id without its last two digits, and which ids it is of. */
  #stem = "";
  #stemOf = -1;

  constructor(
    clock: Pick<Clock, "wall">,
    worker: number,
    layout: SnowflakeLayout,
    epoch: number,
    time: LogicalTime,
  ) {
    this.#clock = clock;
    this.worker = worker;
    this.layout = layout;
    this.epoch = epoch;
    this.#time = time;
    this.#size = 2 ** layout.sequence;
    this.#id = new BigUint64Array([1n]);
    this.#halves = new Uint32Array(this.#id.buffer);
    this.#low = this.#halves[0] === 1 ? 0 : 1;
    this.#numeric = isNumeric(layout);
  }

  get until(): number {
    return this.#time.now + 1;
  }

  next(): bigint {
    const wall = this.#clock.wall();
    if (wall !== this.#wall || this.#left === 0) this.#enter(wall);
    this.#left--;
    this.#halves[this.#low]!++;
    return this.#id[0]!;
  }

  nextNumber(): number {
    this.#mustBeNumeric();
    const wall = this.#clock.wall();
    if (wall !== this.#wall || this.#left === 0) this.#enter(wall);
    this.#halves[this.#low]!++;
    return this.#base + (this.#size - this.#left--);
  }

  nextText(): string {
    const wall = this.#clock.wall();
    if (wall !== this.#wall || this.#left === 0) this.#enter(wall);
    this.#left--;
    const low = ++this.#halves[this.#low]!;
    if (low >>> 10 !== this.#stemOf) this.#newStem(low);
    return this.#stem + this.#pairs[low & 1023]!;
  }

  fill<A extends BigInt64Array | BigUint64Array | Float64Array>(ids: A): A {
    if (ids instanceof Float64Array) this.#mustBeNumeric();
    if (ids.length === 0) return ids;
    const wall = this.#clock.wall();
    if (wall !== this.#wall || this.#left === 0) this.#enter(wall);
    const more = Math.max(Math.ceil((ids.length - this.#left) / this.#size), 0);
    // All that is needed is taken before anything is written.
    const end = more === 0 ? this.#tick : this.#time.goOn(wall, more);
    let at = this.#write(ids, 0);
    for (let tick = end - more + 1; at < ids.length; tick++) {
      this.#begin(tick);
      at = this.#write(ids, at);
    }
    return ids;
  }

  parse(id: bigint | number | string): SnowflakeParts {
    return parseSnowflake(id, { layout: this.layout, epoch: this.epoch });
  }

  /** Comes to what the clock shows, or goes on without it. */
  #enter(wall: number): void {
    this.#wall = NaN;
    const tick = this.#time.goOn(wall, this.#left === 0 ? 1 : 0);
    if (tick !== this.#tick) this.#begin(tick);
    // Where a lease holds it back it has to be asked again, though the clock shows the same.
    this.#wall = tick + 1 > wall ? wall : NaN;
  }

  #begin(tick: number): void {
    const { worker, sequence } = this.layout;
    const since = tick - this.epoch;
    const first = this.worker * this.#size;
    const above = 2 ** (32 - worker - sequence);
    this.#halves[1 - this.#low] = Math.floor(since / above);
    // One less than the first id, whose count is 0: what is below it is wrapped by the first step.
    this.#halves[this.#low] = (since % above) * 2 ** (worker + sequence) + first - 1;
    this.#base = since * 2 ** (worker + sequence) + first;
    this.#tick = tick;
    this.#left = this.#size;
    this.#stemOf = -1;
  }

  #newStem(low: number): void {
    this.#stem = stemOf(this.#halves[1 - this.#low]!, low);
    this.#stemOf = low >>> 10;
    if (this.#pairs.length === 0) this.#pairs = digitPairs();
  }

  /** Writes the next ids of this ms, as many as there are and fit. Answers where the next one belongs. */
  #write(ids: BigInt64Array | BigUint64Array | Float64Array, at: number): number {
    const end = at + Math.min(ids.length - at, this.#left);
    const halves = this.#halves;
    if (ids instanceof Float64Array) {
      writeNumbers(ids, at, end, this.#base + (this.#size - this.#left));
    } else {
      const next = halves[this.#low]! + 1;
      writeHalves(ids, at, end, halves[1 - this.#low]!, next, this.#low);
    }
    halves[this.#low]! += end - at;
    this.#left -= end - at;
    return end;
  }

  #mustBeNumeric(): void {
    if (this.#numeric) return;
    const { time, worker, sequence } = this.layout;
    throw new RangeError(
      `Cannot give ids of ${time}-${worker}-${sequence} bits as numbers: they must have 53 bits at most`,
    );
  }
}

function writeNumbers(ids: Float64Array, from: number, to: number, first: number): void {
  for (let at = from, id = first; at < to; at++) ids[at] = id++;
}

/** Writes ids by their halves, which is faster than making a bigint of each. */
function writeHalves(
  ids: BigInt64Array | BigUint64Array,
  from: number,
  to: number,
  high: number,
  first: number,
  lowAt: 0 | 1,
): void {
  const halves = new Uint32Array(ids.buffer, ids.byteOffset + 8 * from, 2 * (to - from));
  let low = first | 0;
  for (let at = 0; at < halves.length; at += 2) {
    halves[at + lowAt] = low;
    halves[at + 1 - lowAt] = high;
    low = low + 1 | 0;
  }
}
