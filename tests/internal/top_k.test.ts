import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { shortKey, TopK } from "../../src/internal/top_k.ts";

/** Keys of which some come much more often than others; `undefined` is a halving. */
const key = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 3, arbitrary: fc.integer({ min: 4, max: 40 }) },
).map((n) => `k${n}`);
const hits = fc.array(key, { maxLength: 500, size: "max" });
const withHalvings = fc.array(
  fc.oneof({ weight: 30, arbitrary: key }, { weight: 1, arbitrary: fc.constant(undefined) }),
  {
    maxLength: 500,
    size: "max",
  },
);
const size = fc.integer({ min: 1, max: 20 });

describe("against an exact count", () => {
  test("each key with more than its part of the hits is in, and no count is too low or above its error", () => {
    fc.assert(fc.property(hits, size, (keys, size) => {
      const top = new TopK(size);
      const exact = new Map<string, number>();
      for (const key of keys) {
        exact.set(key, (exact.get(key) ?? 0) + 1);
        const { count, error } = top.hit(key);
        expect(count).toBeGreaterThanOrEqual(exact.get(key)!);
        expect(count - error).toBeLessThanOrEqual(exact.get(key)!);
      }
      const entries = top.top(Infinity);
      expect(entries.length).toBe(Math.min(size, exact.size));
      expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(keys.length);
      expect(top.total).toBe(keys.length);
      for (const { key, count, error } of entries) {
        expect(count).toBeGreaterThanOrEqual(exact.get(key)!);
        expect(count - error).toBeLessThanOrEqual(exact.get(key)!);
      }
      for (const [key, count] of exact) {
        if (count > keys.length / size) expect(entries.some((entry) => entry.key === key)).toBe(true);
      }
    }));
  });

  test("the bounds stay true when counts are halved, and one more call may be needed to be in", () => {
    fc.assert(
      fc.property(withHalvings, size, (steps, size) => {
        const top = new TopK(size);
        const exact = new Map<string, number>();
        let total = 0;
        for (const key of steps) {
          if (key === undefined) {
            top.halve();
            total /= 2;
            for (const [key, count] of exact) exact.set(key, count / 2);
          } else {
            top.hit(key);
            total++;
            exact.set(key, (exact.get(key) ?? 0) + 1);
          }
          expect(top.total).toBe(total);
          for (const [key, count] of exact) {
            const entry = top.get(key);
            if (entry === undefined) {
              expect(count).toBeLessThanOrEqual(total / size + 1);
            } else {
              expect(entry.count).toBeGreaterThanOrEqual(count);
              expect(entry.count - entry.error).toBeLessThanOrEqual(count);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test("the list is in order, without repeats, and a beginning of the whole list", () => {
    fc.assert(fc.property(withHalvings, size, fc.nat(25), (steps, size, n) => {
      const top = new TopK(size);
      for (const key of steps) key === undefined ? top.halve() : top.hit(key);
      const all = top.top(Infinity);
      expect(new Set(all.map(({ key }) => key)).size).toBe(all.length);
      for (let at = 1; at < all.length; at++) {
        expect(all[at - 1]!.count).toBeGreaterThanOrEqual(all[at]!.count);
      }
      expect(top.top(n)).toEqual(all.slice(0, n));
    }));
  });
});

test("old heat cools: what was hot gives way to what is", () => {
  const top = new TopK(4);
  for (let hit = 0; hit < 1000; hit++) top.hit("old");
  for (let window = 0; window < 6; window++) {
    top.halve();
    for (let hit = 0; hit < 100; hit++) top.hit("new");
  }
  expect(top.top(2).map(({ key }) => key)).toEqual(["new", "old"]);
  expect(top.get("old")!.count).toBe(16);
});

test("the rarest makes room, and says how much of its count is the other's", () => {
  const top = new TopK(2);
  for (const key of ["a", "a", "a", "b", "b", "c"]) top.hit(key);
  expect(top.top(9)).toEqual([{ key: "a", count: 3, error: 0 }, { key: "c", count: 3, error: 2 }].reverse());
  expect(top.get("b")).toBe(undefined);
  top.clear();
  expect([top.total, top.top(9)]).toEqual([0, []]);
  expect(top.hit("d")).toMatchObject({ key: "d", count: 1, error: 0 });
});

describe("long keys", () => {
  test("are cut and told apart by their hash", () => {
    const [a, b] = [`${"x".repeat(10_000)}a`, `${"x".repeat(10_000)}b`];
    const top = new TopK(4);
    top.hit(a);
    top.hit(b);
    top.hit(b);
    expect(top.top(9).map(({ key, count }) => [key.length, count])).toEqual([[129, 2], [129, 1]]);
    expect(top.get(b)!.count).toBe(2);
  });

  test("never meet a whole one, and stay text that can be encoded", () => {
    const long = `${"x".repeat(119)}${"\u{1F525}".repeat(20)}`;
    const short = shortKey(long);
    expect(short.length).toBe(129);
    expect(short.isWellFormed()).toBe(true);
    expect(shortKey("y".repeat(128))).toBe("y".repeat(128));
    expect(shortKey("y".repeat(129)).length).toBe(129);
    expect(shortKey("y".repeat(129))).not.toBe("y".repeat(129));
  });
});

test("a size that is no whole number over 0 is refused", () => {
  for (const size of [0, -1, 1.5, NaN, Infinity]) expect(() => new TopK(size)).toThrow(RangeError);
});
