/** Clocks that go back, stand still and jump: ids stay unique and in order, and nothing waits. */

import { describe, expect, test } from "bun:test";
import { CatgaError } from "@catga/catga";
import { layouts, snowflake, type SnowflakeOptions } from "@catga/catga/ids";
import { codeOf, expectAscending, fakeClock, START } from "./support.ts";

function make(options: Partial<SnowflakeOptions> = {}) {
  const clock = fakeClock();
  return { clock, ids: snowflake({ clock, worker: 1, ...options }) };
}

/** Each way to take an id; all must do the same. */
const ways = {
  next: (ids: ReturnType<typeof snowflake>) => ids.next(),
  nextNumber: (ids: ReturnType<typeof snowflake>) => BigInt(ids.nextNumber()),
  nextText: (ids: ReturnType<typeof snowflake>) => ids.parse(ids.nextText()).id,
  fill: (ids: ReturnType<typeof snowflake>) => ids.fill(new BigInt64Array(1))[0]!,
  fillNumbers: (ids: ReturnType<typeof snowflake>) => BigInt(ids.fill(new Float64Array(1))[0]!),
} as const;
const eachWay = Object.entries(ways);

describe("a clock that went back", () => {
  test.each(eachWay)("by 2 s: ids go on in their ms, taken by %s", (_, take) => {
    const { clock, ids } = make({ layout: layouts.numeric });
    const before = take(ids);
    clock.now -= 2000;
    const after = Array.from({ length: 127 }, () => take(ids));
    expect(after.at(-1)).toBe(before + 127n);
    expectAscending([before, ...after]);
  });

  test.each(eachWay)("by more: UNAVAILABLE until it has come close again, by %s", (_, take) => {
    const { clock, ids } = make({ layout: layouts.numeric });
    const before = take(ids);
    clock.now -= 2001;
    expect([codeOf(() => take(ids)), codeOf(() => take(ids))]).toEqual(["UNAVAILABLE", "UNAVAILABLE"]);
    clock.now += 1;
    expect(take(ids)).toBe(before + 1n);
    clock.now += 2001;
    expect(ids.parse(take(ids)).time).toBe(START + 1);
  });

  test("the failure says how far, and that it may heal", () => {
    const { clock, ids } = make();
    ids.next();
    clock.now -= 3_600_000;
    let failure: unknown;
    try {
      ids.next();
    } catch (thrown) {
      failure = thrown;
    }
    if (!CatgaError.is(failure)) throw new Error("Nothing was thrown");
    expect([failure.retryable, failure.data]).toEqual([true, { ahead: 3_600_000, back: 3_600_000 }]);
    expect(failure.message).toContain("try again in 3598000 ms");
  });

  test("again and again: the steps add up, and no id comes twice", () => {
    const { clock, ids } = make();
    const made = [ids.next()];
    for (let step = 0; step < 20; step++) {
      clock.now -= 100;
      made.push(ids.next());
    }
    expectAscending(made);
    clock.now -= 1;
    expect(codeOf(() => ids.next())).toBe("UNAVAILABLE");
  });

  test("regression 66c53559: single ids and batches follow one rule", () => {
    for (const back of [0, 1, 1999, 2000, 2001, 1e9]) {
      const codes = eachWay.map(([, take]) => {
        const { clock, ids } = make({ layout: layouts.numeric });
        ids.next();
        clock.now -= back;
        return codeOf(() => take(ids));
      });
      expect([back, new Set(codes).size]).toEqual([back, 1]);
    }
  });
});

describe("a clock that stands still", () => {
  test("regression C11, F14: 4,097 ids of one frozen ms come at once, in order", () => {
    const { clock, ids } = make();
    const made = Array.from({ length: 4097 }, () => ids.next());
    expectAscending(made);
    expect([ids.parse(made[4095]!).time, ids.parse(made[4096]!)]).toMatchObject([START, {
      time: START + 1,
      sequence: 0,
    }]);
    expect(clock.looks).toBe(4097);
  });

  test("regression F45: ids end with OVERLOADED at a stated bound, without looking at the clock again", () => {
    const { clock, ids } = make({ ahead: 3 });
    const made = Array.from({ length: 4 * 4096 }, () => ids.next());
    expectAscending(made);
    const { looks } = clock;
    expect([codeOf(() => ids.next()), clock.looks - looks]).toEqual(["OVERLOADED", 1]);
    expect(codeOf(() => ids.fill(new BigInt64Array(1)))).toBe("OVERLOADED");
    clock.now += 1;
    expect(ids.parse(ids.next())).toMatchObject({ time: START + 4, sequence: 0 });
  });

  test("lets the clock catch up with what was borrowed before it counts again", () => {
    const { clock, ids } = make();
    ids.fill(new BigInt64Array(3 * 4096 + 10));
    clock.now += 2;
    expect(ids.parse(ids.next())).toMatchObject({ time: START + 3, sequence: 10 });
    clock.now += 2;
    expect(ids.parse(ids.next())).toMatchObject({ time: START + 4, sequence: 0 });
  });
});

describe("a batch", () => {
  test("regression bd454b12: is what as many single ids are", () => {
    for (const size of [1, 2, 4095, 4096, 4097, 20_000]) {
      const [one, other] = [make().ids, make().ids];
      one.next();
      other.next();
      const batch = [...one.fill(new BigInt64Array(size))];
      const singles = Array.from({ length: size }, () => other.next());
      expect(batch.join() === singles.join()).toBe(true);
      expect(one.next()).toBe(other.next());
    }
  });

  test("that is too large takes nothing", () => {
    const { ids } = make({ ahead: 1 });
    const first = ids.next();
    const batch = new BigInt64Array(2 * 4096);
    expect(codeOf(() => ids.fill(batch))).toBe("OVERLOADED");
    expect([batch.every((id) => id === 0n), ids.next()]).toEqual([true, first + 1n]);
    expect(ids.fill(new BigInt64Array(2 * 4096 - 2)).at(-1)).toBe(first + (1n << 22n) + 4095n);
  });

  test("looks at the clock once", () => {
    const { clock, ids } = make();
    ids.fill(new BigInt64Array(100_000));
    expect(clock.looks).toBe(1);
  });
});

describe("after a restart", () => {
  test("`until` goes on as `from`, though ids were ahead of the clock", () => {
    const { clock, ids } = make();
    const before = ids.fill(new BigInt64Array(1000 * 4096)).at(-1)!;
    const again = snowflake({ clock, worker: 1, from: ids.until });
    expect(again.next() > before).toBe(true);
  });

  test("ids that would begin further ahead than they may are refused until the clock is there", () => {
    const { clock, ids } = make({ from: START + 2001 });
    expect(codeOf(() => ids.next())).toBe("UNAVAILABLE");
    clock.now++;
    expect(ids.parse(ids.next()).time).toBe(START + 2001);
  });
});

describe("a leased worker", () => {
  /** One whose reservation the test moves. */
  function leased(from: number, until: number) {
    const lease = {
      worker: 3,
      from,
      until,
      asked: [] as number[],
      lost: false,
      reach(time: number) {
        if (this.lost) {
          throw new CatgaError({ code: "TIMEOUT", message: "lost", data: undefined, retryable: true });
        }
        this.asked.push(time);
        return Math.min(time, this.until - 1);
      },
    };
    return { lease, ...make({ worker: lease }) };
  }

  test("is asked once for each ms, before an id of it is made", () => {
    const { lease, clock, ids } = leased(0, START + 100);
    ids.fill(new BigInt64Array(100));
    for (let n = 0; n < 100; n++) ids.next();
    clock.now++;
    ids.next();
    ids.fill(new BigInt64Array(5000));
    expect(lease.asked).toEqual([START, START + 1, START + 2]);
  });

  test("begins behind all that was made before", () => {
    const { ids } = leased(START + 500, START + 1000);
    expect(ids.parse(ids.next())).toMatchObject({ time: START + 500, worker: 3, sequence: 0 });
  });

  test("stays within what is reserved when the clock jumps on, and goes on when there is more", () => {
    const { lease, clock, ids } = leased(0, START + 2);
    ids.next();
    clock.now += 3_600_000;
    const made = Array.from({ length: 4096 }, () => ids.next());
    expect([ids.parse(made[0]!).time, ids.parse(made[4095]!).time]).toEqual([START + 1, START + 1]);
    expect([codeOf(() => ids.next()), codeOf(() => ids.fill(new BigInt64Array(1)))]).toEqual([
      "OVERLOADED",
      "OVERLOADED",
    ]);
    lease.until = clock.now + 10;
    expect(ids.parse(ids.next()).time).toBe(clock.now);
  });

  test("gives no more than is reserved, also to a batch, which takes all or nothing", () => {
    const { lease, ids } = leased(0, START + 2);
    expect(codeOf(() => ids.fill(new BigInt64Array(2 * 4096 + 1)))).toBe("OVERLOADED");
    expect(ids.fill(new BigInt64Array(2 * 4096))).toHaveLength(8192);
    expect(codeOf(() => ids.next())).toBe("OVERLOADED");
    lease.until++;
    expect(ids.parse(ids.next())).toMatchObject({ time: START + 2, sequence: 0 });
  });

  test("that is lost makes no more ids, and says why", () => {
    const { lease, clock, ids } = leased(0, START + 100);
    ids.next();
    lease.lost = true;
    clock.now++;
    for (const take of [() => ids.next(), () => ids.nextText(), () => ids.fill(new BigInt64Array(1))]) {
      expect([codeOf(take), codeOf(take)]).toEqual(["TIMEOUT", "TIMEOUT"]);
    }
    clock.now--;
    expect(codeOf(() => ids.next())).toBe("TIMEOUT");
  });
});
