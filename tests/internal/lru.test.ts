import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Lru, LruGroup } from "../../src/internal/lru.ts";

const roomy = { entries: 100, size: 1000 };

describe("Lru", () => {
  test("an entry ends at its time, judged by the time passed in", () => {
    const lru = new Lru<string>(roomy);
    lru.set("a", "one", 10, 3);
    expect(lru.get("a", 9)).toBe("one");
    expect(lru.count).toBe(1);
    expect(lru.get("a", 10)).toBeUndefined();
    expect([lru.count, lru.size, lru.evicted]).toEqual([0, 0, 0]);
  });

  test("what was used is kept, what was not makes room", () => {
    const lru = new Lru<number>({ entries: 3, size: 1000 });
    for (const [at, key] of ["a", "b", "c"].entries()) lru.set(key, at, 100, 1);
    lru.get("a", 0);
    lru.set("d", 3, 100, 1);
    expect(["a", "b", "c", "d"].filter((key) => lru.get(key, 0) !== undefined)).toEqual(["a", "c", "d"]);
    expect(lru.evicted).toBe(1);
  });

  test("a mark is lost when it has saved its entry once", () => {
    const lru = new Lru<number>({ entries: 2, size: 1000 });
    lru.set("a", 0, 100, 1);
    lru.get("a", 0);
    for (const key of ["b", "c", "d"]) lru.set(key, 0, 100, 1);
    expect(lru.get("a", 0)).toBeUndefined();
  });

  test("room is made also when everything is in use", () => {
    const lru = new Lru<number>({ entries: 50, size: 1000 });
    for (let at = 0; at < 50; at++) lru.set(`${at}`, at, 100, 1);
    for (let at = 0; at < 50; at++) lru.get(`${at}`, 0);
    expect(lru.set("new", 1, 100, 1)).toBe(true);
    expect(lru.count).toBe(50);
    expect(lru.get("0", 0)).toBe(0);
    expect(lru.get("8", 0)).toBeUndefined();
  });

  test("what is too large is not kept, and its key's old value goes with it", () => {
    const lru = new Lru<number>({ entries: 3, size: 10 });
    lru.set("a", 1, 100, 4);
    expect(lru.set("a", 2, 100, 11)).toBe(false);
    expect(lru.set("b", 2, 100, NaN)).toBe(false);
    expect([lru.count, lru.size]).toEqual([0, 0]);
  });

  test("a group goes together, and only it", () => {
    const lru = new Lru<number>(roomy);
    const group = new LruGroup();
    for (const key of ["a", "b", "c"]) lru.set(key, 1, 100, 1, group);
    lru.set("other", 1, 100, 1, new LruGroup());
    lru.set("b", 2, 100, 1);
    lru.delete("c");
    expect(lru.drop(group)).toBe(1);
    expect(["a", "b", "c", "other"].map((key) => lru.get(key, 0))).toEqual([undefined, 2, undefined, 1]);
    expect(group.first).toBeUndefined();
  });

  test.each([0, -1, 1.5, NaN, Infinity])("a limit of %p entries is refused", (entries) => {
    expect(() => new Lru({ entries, size: 1 })).toThrow(RangeError);
  });

  test.each([0, -1, NaN])("a limit in size of %p is refused", (size) => {
    expect(() => new Lru({ entries: 1, size })).toThrow(RangeError);
  });

  test("it agrees with a map that forgets nothing wherever it answers, and keeps its limits", () => {
    const key = fc.integer({ min: 0, max: 20 }).map(String);
    const step = fc.oneof(
      fc.record({
        do: fc.constant("set" as const),
        key,
        size: fc.nat(12),
        ttl: fc.nat(20),
        group: fc.nat(2),
      }),
      fc.record({ do: fc.constant("get" as const), key }),
      fc.record({ do: fc.constant("delete" as const), key }),
      fc.record({ do: fc.constant("drop" as const), group: fc.nat(2) }),
      fc.record({ do: fc.constant("wait" as const), ms: fc.nat(5) }),
    );
    fc.assert(fc.property(fc.nat(7), fc.array(step, { maxLength: 120 }), (more, steps) => {
      const limits = { entries: 1 + more, size: 30 };
      const lru = new Lru<number>(limits);
      const groups = [0, 1, 2].map(() => new LruGroup());
      const model = new Map<string, { value: number; until: number; size: number; group: number }>();
      let now = 0;
      let roomMade = false;
      for (const [value, each] of steps.entries()) {
        if (each.do === "wait") now += each.ms;
        else if (each.do === "delete") {
          lru.delete(each.key);
          model.delete(each.key);
        } else if (each.do === "drop") {
          lru.drop(groups[each.group]!);
          for (const [name, { group }] of model) if (group === each.group) model.delete(name);
        } else if (each.do === "set") {
          const { key, size, ttl, group } = each;
          expect(lru.set(key, value, now + ttl, size, groups[group])).toBe(true);
          model.set(key, { value, until: now + ttl, size, group });
          roomMade ||= lru.evicted > 0;
          if (ttl > 0) expect(lru.get(key, now)).toBe(value);
        } else {
          const known = model.get(each.key);
          const expected = known !== undefined && now < known.until ? known.value : undefined;
          const got = lru.get(each.key, now);
          if (got !== undefined || !roomMade) expect(got).toBe(expected);
        }
        expect(lru.count).toBeLessThanOrEqual(limits.entries);
        expect(lru.size).toBeLessThanOrEqual(limits.size);
      }
      const left = [...model].filter(([name]) => lru.get(name, -1) !== undefined);
      expect(lru.count).toBe(left.length);
      expect(lru.size).toBe(left.reduce((sum, [, { size }]) => sum + size, 0));
      lru.clear();
      expect([lru.count, lru.size, groups.map(({ first }) => first)]).toEqual([
        0,
        0,
        [undefined, undefined, undefined],
      ]);
    }));
  });
});
