/** Ids of 64 bits: their forms, their layouts, and what cannot be. */

import { describe, expect, test } from "bun:test";
import {
  layouts,
  parseSnowflake,
  snowflake,
  type SnowflakeLayout,
  type SnowflakeOptions,
  snowflakeText,
} from "@catga/catga/ids";
import { codeOf, EPOCH, expectAscending, fakeClock, START } from "./support.ts";

const named = Object.entries(layouts) as [string, SnowflakeLayout][];

function make(options: Partial<SnowflakeOptions> = {}) {
  const clock = fakeClock();
  return { clock, ids: snowflake({ clock, worker: 1, ...options }) };
}

describe("an id", () => {
  test("has the time, the worker and the count in their bits", () => {
    const { clock, ids } = make({ worker: 5 });
    const first = (1_000_000_000n << 22n) | (5n << 12n);
    expect([ids.next(), ids.next()]).toEqual([first, first + 1n]);
    clock.now += 3;
    expect(ids.next()).toBe(first + (3n << 22n));
    expect(ids.until).toBe(START + 4);
  });

  test.each(named)("of the layout %s reaches from the first to the last of its bits", (_, layout) => {
    const { time, worker, sequence } = layout;
    const end = (1n << BigInt(time + worker + sequence)) - 1n;
    const clock = fakeClock(EPOCH);
    const options = { clock, layout, ahead: 0 };
    expect(snowflake({ ...options, worker: 0 }).next()).toBe(0n);
    clock.now = EPOCH + 2 ** time - 1;
    const ids = snowflake({ ...options, worker: 2 ** worker - 1 });
    const last = ids.fill(new BigUint64Array(2 ** sequence)).at(-1);
    expect(last).toBe(end);
    expect(ids.parse(last!)).toEqual({
      id: end,
      time: clock.now,
      worker: 2 ** worker - 1,
      sequence: 2 ** sequence - 1,
    });
    clock.now++;
    expect(codeOf(() => ids.next())).toBe("VALIDATION");
    expect(parseSnowflake(snowflakeText(end), { layout }).id).toBe(end);
  });

  test.each([
    ["a fraction of a ms", 0.999],
    ["a whole ms", 0],
  ])("takes a clock that shows %s", (_, more) => {
    const { clock, ids } = make();
    clock.now = START + more;
    expect(ids.parse(ids.next()).time).toBe(START);
  });

  test("begins with the epoch that was given", () => {
    const { ids } = make({ epoch: START - 7 });
    const id = ids.next();
    expect(id >> 22n).toBe(7n);
    expect([ids.parse(id).time, parseSnowflake(id, { epoch: START - 7 }).time]).toEqual([START, START]);
  });

  test("is not made before the epoch or without a time", () => {
    const { clock, ids } = make();
    for (const now of [EPOCH - 2001, 0, -5, NaN, -Infinity]) {
      clock.now = now;
      expect([now, codeOf(() => ids.next())]).toEqual([now, "UNAVAILABLE"]);
    }
    clock.now = Infinity;
    expect(codeOf(() => ids.next())).toBe("UNAVAILABLE");
    clock.now = START;
    expect(ids.parse(ids.next()).time).toBe(START);
  });
});

describe("the forms", () => {
  test("are of one sequence, whichever is taken", () => {
    const { ids } = make({ layout: layouts.numeric });
    const all = [
      ids.next(),
      BigInt(ids.nextNumber()),
      ids.parse(ids.nextText()).id,
      ...ids.fill(new BigInt64Array(2)),
      ...Array.from(ids.fill(new Float64Array(2)), BigInt),
      ...ids.fill(new BigUint64Array(1)),
      BigInt(ids.nextNumber()),
      ids.next(),
    ];
    expect(all).toEqual(Array.from(all, (_, at) => all[0]! + BigInt(at)));
  });

  test("text orders as the ids do, over all digits", () => {
    const values = [
      0n,
      1n,
      31n,
      32n,
      1023n,
      1n << 31n,
      (1n << 32n) - 1n,
      1n << 32n,
      1n << 60n,
      (1n << 63n) - 1n,
    ];
    const texts = values.map((id) => snowflakeText(id));
    expectAscending(texts);
    expect(texts.map((text) => [text.length, parseSnowflake(text, { layout: layouts.lasting }).id])).toEqual(
      values.map((id) => [13, id]),
    );
    const { clock, ids } = make();
    const made = Array.from({ length: 5000 }, (_, at) => {
      if (at % 700 === 0) clock.now++;
      return ids.nextText();
    });
    expectAscending(made);
    expect(made.map((text) => snowflakeText(ids.parse(text).id))).toEqual(made);
  });

  test("text has the time of its id, also where only the upper half of the bits differs", () => {
    const { clock, ids } = make();
    for (let n = 0; n < 4; n++, clock.now += 1024) expect(ids.parse(ids.nextText()).time).toBe(clock.now);
  });

  test("numbers are only of layouts that are safe as numbers", () => {
    const { ids } = make();
    expect(() => ids.nextNumber()).toThrow(/53 bits at most/);
    expect(() => ids.fill(new Float64Array(1))).toThrow(RangeError);
    expect(ids.parse(ids.next()).sequence).toBe(0);
  });

  test("an array of any place in its buffer is filled, and nothing beside it", () => {
    const { ids } = make();
    const all = new BigInt64Array(6);
    const first = ids.fill(all.subarray(2, 5))[0]!;
    expect([...all]).toEqual([0n, 0n, first, first + 1n, first + 2n, 0n]);
    expect(ids.fill(new BigInt64Array(0))).toHaveLength(0);
    expect(ids.next()).toBe(first + 3n);
  });
});

describe("what is no id", () => {
  test.each([
    ["negative", -1n],
    ["too large", 1n << 63n],
    ["a fraction", 1.5],
    ["an unsafe number", 2 ** 53],
    ["no number", NaN],
    ["empty", ""],
    ["short", "000000004000"],
    ["long", "00000000400000"],
    ["with another letter", "000000004000u"],
    ["in capitals", "000000004000A"],
    ["of more bits", "8000000000000"],
    ["with a line break", "0000000040000\n"],
    ["nothing at all", undefined as unknown as string],
  ])("%s: is refused with VALIDATION", (_, id) => {
    expect(codeOf(() => parseSnowflake(id))).toBe("VALIDATION");
  });

  test("an id of more bits than its layout is refused", () => {
    expect(codeOf(() => parseSnowflake(1n << 53n, { layout: layouts.numeric }))).toBe("VALIDATION");
    expect(() => snowflakeText(1n << 63n)).toThrow(RangeError);
    expect(() => snowflakeText(-1)).toThrow(RangeError);
  });
});

describe("what cannot be made", () => {
  test.each([
    [{ time: 0, worker: 10, sequence: 12 }, "time has 0 bits"],
    [{ time: 41, worker: 23, sequence: 1 }, "worker has 23 bits"],
    [{ time: 41, worker: -1, sequence: 12 }, "worker has -1 bits"],
    [{ time: 41, worker: 0, sequence: 0 }, "sequence has 0 bits"],
    [{ time: 31, worker: 16, sequence: 17 }, "worker and sequence together has 33 bits"],
    [{ time: 42, worker: 10, sequence: 12 }, "the whole id has 64 bits"],
    [{ time: 41, worker: 1.5, sequence: 12 }, "worker has 1.5 bits"],
  ])("the layout %j", (layout, why) => {
    expect(() => make({ layout })).toThrow(why);
    expect(() => parseSnowflake(0n, { layout })).toThrow(RangeError);
  });

  test.each([
    [{ worker: -1 }],
    [{ worker: 1.5 }],
    [{ worker: NaN }],
    [{ worker: undefined as unknown as number }],
    [{ epoch: -1 }],
    [{ ahead: -1 }],
    [{ ahead: Infinity }],
    [{ from: 0.5 }],
  ])("ids with %j", (options) => {
    expect(() => make(options)).toThrow();
  });

  test.each(named)("regression F45: a worker is held against its own layout, %s", (_, layout) => {
    const workers = 2 ** layout.worker;
    const lease = { worker: workers, from: 0, reach: (time: number) => time };
    expect(() => make({ layout, worker: workers })).toThrow(`from 0 to ${workers - 1}`);
    expect(() => make({ layout, worker: lease })).toThrow(`from 0 to ${workers - 1}`);
    expect(make({ layout, worker: workers - 1 }).ids.worker).toBe(workers - 1);
  });

  test("regression C11, F45: there is no worker by chance, and none that is shared without saying", () => {
    const make = snowflake as unknown as (options: object) => unknown;
    expect(() => make({ clock: fakeClock() })).toThrow();
    const one = snowflake({ clock: fakeClock(), worker: 1 });
    const other = snowflake({ clock: fakeClock(), worker: 2 });
    expect([one.next() === other.next(), one.worker, other.worker]).toEqual([false, 1, 2]);
  });
});
