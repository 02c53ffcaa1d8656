/** UUIDs of version 7: for nodes that hold no lease, over clocks of any kind. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { uuidv7, uuidv7Time } from "@catga/catga/ids";
import { systemRuntime } from "@catga/catga/ports";
import { codeOf, expectAscending, fakeClock, START } from "./support.ts";

const FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Chance that gives these numbers in turn, then the last one for ever. */
function chance(...numbers: number[]): { u32(): number; drawn: number } {
  return {
    drawn: 0,
    u32() {
      return numbers[Math.min(this.drawn++, numbers.length - 1)]!;
    },
  };
}

/** The 74 bits of chance in a UUID. */
function bitsOf(id: string): bigint {
  const all = BigInt(`0x${id.replaceAll("-", "")}`);
  return ((all >> 64n & 0xfffn) << 62n) | (all & ((1n << 62n) - 1n));
}

describe("a UUID", () => {
  test("has its time, its version and 74 bits of chance where RFC 9562 says", () => {
    const clock = fakeClock(0x0190_1234_5678);
    const all = uuidv7({ clock, random: chance(0xffff_ffff) })();
    const none = uuidv7({ clock, random: chance(0) })();
    expect([all, none]).toEqual([
      "01901234-5678-7fff-bfff-ffffffffffff",
      "01901234-5678-7000-8000-000000000000",
    ]);
    expect(bitsOf(all)).toBe((1n << 74n) - 1n);
    expect([uuidv7Time(all), uuidv7Time(all.toUpperCase())]).toEqual([clock.now, clock.now]);
    const mixed = uuidv7({ clock, random: chance(0xabc0_0000, 0x1234_5678, 0x9abc_def0) })();
    expect(mixed).toBe("01901234-5678-7abc-848d-159e9abcdef0");
  });

  test("begins each ms with new chance", () => {
    const clock = fakeClock();
    const random = chance(1 << 20, 4, 1, 2 << 20, 8, 2);
    const newId = uuidv7({ clock, random });
    const first = newId();
    clock.now++;
    expect([bitsOf(first), bitsOf(newId())]).toEqual([
      (1n << 62n) + (1n << 32n) + 1n,
      (2n << 62n) + (2n << 32n) + 2n,
    ]);
  });

  test("steps on within a ms by chance, with carries to the top, and into the next ms when all is used", () => {
    const clock = fakeClock();
    const steps = (...numbers: number[]) => {
      const newId = uuidv7({ clock, random: chance(...numbers) });
      return [newId(), newId()] as const;
    };
    const [a, b] = steps(0, 0, 5, 9);
    expect(bitsOf(b) - bitsOf(a)).toBe(10n);
    const [c, d] = steps(0, 0, 0xffff_ffff, 0xffff_ffff);
    expect(bitsOf(d) - bitsOf(c)).toBe(1n << 32n);
    const [e, f] = steps(0, 0x0003_ffff, 0xffff_ffff, 0);
    expect([bitsOf(f), bitsOf(f) - bitsOf(e)]).toEqual([1n << 48n, 1n]);
    const [g, h] = steps(0, 0xffff_ffff, 0xffff_ffff, 0);
    expect([bitsOf(h), bitsOf(h) - bitsOf(g)]).toEqual([1n << 62n, 1n]);
    const [i, j] = steps(0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0, 7 << 20, 0, 0);
    expect([uuidv7Time(i), uuidv7Time(j), bitsOf(j)]).toEqual([START, START + 1, 7n << 62n]);
    expectAscending([a, b]);
    expectAscending([c, d]);
    expectAscending([e, f]);
    expectAscending([g, h]);
    expectAscending([i, j]);
  });

  test("orders after those before it while the clock stands still, goes on, or back by 2 s", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -30, max: 30 }), { maxLength: 60 }),
        fc.infiniteStream(fc.nat()),
        (
          moves,
          numbers,
        ) => {
          const clock = fakeClock();
          const u32 = (): number => Number(numbers.next().value) * 2 + 1 >>> 0;
          const newId = uuidv7({ clock, random: { u32 } });
          const ids = [newId()];
          for (const move of moves) {
            clock.now += move;
            ids.push(newId(), newId());
          }
          expectAscending(ids);
          for (const id of ids) expect(FORM.test(id)).toBe(true);
        },
      ),
    );
  });

  test("follows a clock that went back by more, and waits for nothing", () => {
    const clock = fakeClock();
    const newId = uuidv7({ clock, random: systemRuntime().random });
    const before = newId();
    clock.now -= 2000;
    expect(uuidv7Time(newId())).toBe(START);
    clock.now -= 1;
    const after = Array.from({ length: 5000 }, newId);
    expect([uuidv7Time(before), uuidv7Time(after[0]!)]).toEqual([START, START - 2001]);
    expectAscending(after);
  });

  test("regression C11, F14: 100,000 of one frozen ms are all different and in order", () => {
    const clock = fakeClock();
    const newId = uuidv7({ clock, random: systemRuntime().random });
    const ids = Array.from({ length: 100_000 }, newId);
    expectAscending(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("nodes that know nothing of each other make different ones in the same ms", () => {
    const clock = fakeClock();
    const { random } = systemRuntime();
    const ids = Array.from({ length: 200 }, () => uuidv7({ clock, random })).flatMap((newId) =>
      Array.from({ length: 50 }, newId)
    );
    expect(new Set(ids).size).toBe(10_000);
  });

  test("takes its chance and its time only when an id is wanted", () => {
    const clock = fakeClock();
    const random = chance(1);
    const newId = uuidv7({ clock, random });
    expect([clock.looks, random.drawn]).toEqual([0, 0]);
    newId();
    expect([clock.looks, random.drawn]).toEqual([1, 3]);
  });

  test.each([[NaN], [-1], [2 ** 48], [Infinity]])("cannot be made when the clock shows %d", (now) => {
    const clock = fakeClock(now);
    const newId = uuidv7({ clock, random: chance(1) });
    expect([codeOf(newId), codeOf(newId)]).toEqual(["VALIDATION", "VALIDATION"]);
    clock.now = START;
    expect(uuidv7Time(newId())).toBe(START);
  });

  test.each([
    ["01901234-5678-4fff-bfff-ffffffffffff"],
    ["01901234-5678-7fff-7fff-ffffffffffff"],
    ["0190123456787fffbfffffffffffffff"],
    ["01901234-5678-7fff-bfff-ffffffffffff\n"],
    [""],
    [undefined as unknown as string],
  ])("%j is none", (id) => {
    expect(codeOf(() => uuidv7Time(id))).toBe("VALIDATION");
  });
});
