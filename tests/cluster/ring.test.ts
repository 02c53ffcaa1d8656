import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { minusLog, rendezvous } from "../../src/cluster/rendezvous.ts";
import { createRing, type RingMember } from "../../src/cluster/ring.ts";
import { hash32 } from "../../src/internal/hash.ts";

const KEYS = Array.from({ length: 2000 }, (_, at) => `key-${at}`);
const named = (count: number, prefix = "node-"): RingMember[] =>
  Array.from({ length: count }, (_, at) => ({ id: `${prefix}${at}` }));
const member = fc.record({ id: fc.string({ maxLength: 6 }), weight: fc.constantFrom(0.25, 1, 2.5) });
const members = (minLength: number) =>
  fc.uniqueArray(member, { minLength, maxLength: 12, selector: ({ id }) => id });
const ownersOf = (finder: { owner(key: string): string | undefined }, keys: readonly string[] = KEYS) =>
  keys.map((key) => finder.owner(key));

/** How many keys each owner has. */
function counted(owners: readonly (string | undefined)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const owner of owners) counts.set(owner!, (counts.get(owner!) ?? 0) + 1);
  return counts;
}

/** All members of a ring from a key on, by the definition alone. */
function byDefinition(list: readonly RingMember[], points: number, key: string): string[] {
  const all = list.flatMap(({ id, weight = 1 }) =>
    Array.from(
      { length: Math.max(Math.round(weight * points), 1) },
      (_, n) => ({ id, place: hash32(`${id}#${n}`) }),
    )
  );
  all.sort((a, b) => a.place - b.place || (a.id < b.id ? -1 : 1));
  const hash = hash32(key);
  const from = all.findIndex(({ place }) => place >= hash);
  const turned = from < 0 ? all : [...all.slice(from), ...all.slice(0, from)];
  return [...new Set(turned.map(({ id }) => id))];
}

describe("createRing", () => {
  test("agrees with its definition", () => {
    fc.assert(fc.property(members(0), fc.integer({ min: 1, max: 20 }), fc.string(), (list, points, key) => {
      const ring = createRing(list, { points });
      const expected = byDefinition(list, points, key);
      expect(ring.owner(key)).toBe(expected[0]!);
      expect([...ring.walk(key)]).toEqual(expected);
      expect(ring.owners(key, 3)).toEqual(expected.slice(0, 3));
      expect(ring.owners(key, 0)).toEqual([]);
    }));
  });

  test("depends on the set of members alone, and not on how it came about", () => {
    fc.assert(
      fc.property(fc.array(members(0), { maxLength: 5 }), members(1), fc.nat(), (history, list, turn) => {
        let grown = createRing([], { points: 16 });
        for (const earlier of history) grown = grown.to(earlier);
        const at = turn % list.length;
        grown = grown.to([...list.slice(at), ...list.slice(0, at)]);
        const made = createRing(list, { points: 16 });
        expect(grown.ids).toEqual(made.ids);
        for (const key of KEYS.slice(0, 100)) expect([...grown.walk(key)]).toEqual([...made.walk(key)]);
      }),
    );
  });

  test("points at one place belong to the name that sorts first, and the next one follows", () => {
    const [one, two] = ["n259117599-p8x", "n316609539-uul"] as const;
    expect(hash32(`${one}#0`)).toBe(hash32(`${two}#0`));
    const key = KEYS.find((key) => hash32(key) <= hash32(`${one}#0`))!;
    const empty = createRing([], { points: 1 });
    for (const ring of [empty.to([{ id: one }]), empty.to([{ id: two }]), empty]) {
      expect(ring.to([{ id: two }, { id: one }]).owners(key, 2)).toEqual([one, two]);
    }
  });

  test("one member more or less moves only its own keys, and at most 1/n and 5 points of all", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.string({ minLength: 1, maxLength: 8 }),
        (count, prefix) => {
          const less = createRing(named(count, prefix));
          const more = less.to([...named(count, prefix), { id: "new one" }]);
          const before = ownersOf(less);
          const after = ownersOf(more);
          const moved = KEYS.filter((_key, at) => before[at] !== after[at]);
          expect(moved.every((key) => more.owner(key) === "new one")).toBe(true);
          expect(moved.length / KEYS.length).toBeLessThanOrEqual(1 / (count + 1) + 0.05);
          expect(ownersOf(more.to(named(count, prefix)))).toEqual(before);
        },
      ),
      { numRuns: 30 },
    );
  });

  test.each(
    [[3, "node-"], [10, "node-"], [100, "node-"], [100, "10.0.0."], [100, "pod-x-"], [100, "n"]] as const,
  )(
    "%p members named %s… have at most 1.25 times their even share",
    (count, prefix) => {
      const ring = createRing(named(count, prefix));
      const keys = Array.from({ length: 2000 * count }, (_, at) => `key-${at}`);
      const counts = counted(ownersOf(ring, keys));
      expect(counts.size).toBe(count);
      expect(Math.max(...counts.values()) / 2000).toBeLessThanOrEqual(1.25);
    },
  );

  test("shares follow weights", () => {
    const ring = createRing([{ id: "a" }, { id: "b", weight: 3 }]);
    const share = counted(ownersOf(ring)).get("b")! / KEYS.length;
    expect(share).toBeGreaterThan(0.69);
    expect(share).toBeLessThan(0.81);
  });

  test("another weight changes the ring; the same members do not, and the old ring stays as it was", () => {
    const ring = createRing(named(5));
    const before = ownersOf(ring);
    expect(ring.to(named(5).reverse())).toBe(ring);
    const heavy = ring.to([...named(4), { id: "node-4", weight: 4 }]);
    expect(counted(ownersOf(heavy)).get("node-4")!).toBeGreaterThan(2 * counted(before).get("node-4")!);
    expect(ownersOf(heavy)).toEqual(ownersOf(createRing([...named(4), { id: "node-4", weight: 4 }])));
    expect(ownersOf(ring)).toEqual(before);
  });

  test("without members there is no owner", () => {
    for (const ring of [createRing(), createRing(named(2)).to([])]) {
      expect(ring.owner("x")).toBeUndefined();
      expect(ring.owners("x", 2)).toEqual([]);
    }
  });

  test("no weight fills the memory", () => {
    const ring = createRing([{ id: "a", weight: Infinity }, { id: "b", weight: 1e300 }]);
    expect(ownersOf(ring)).toEqual(ownersOf(createRing([{ id: "a", weight: 32 }, { id: "b", weight: 32 }])));
  });

  test.each([
    [[{ id: "a" }, { id: "a", weight: 2 }], {}],
    [[{ id: "a", weight: 0 }], {}],
    [[{ id: "a", weight: NaN }], {}],
    [[], { points: 0 }],
    [[], { points: 1e9 }],
  ])("refuses what cannot be: %j %j", (list, options) => {
    expect(() => createRing(list as RingMember[], options)).toThrow(RangeError);
  });

  test("has the same owners on every runtime", () => {
    const ring = createRing([...named(9), { id: "ключ", weight: 2.5 }]);
    expect(KEYS.slice(0, 8).map((key) => ring.ids.indexOf(ring.owner(key)!))).toEqual([
      7,
      4,
      7,
      5,
      7,
      9,
      6,
      0,
    ]);
  });
});

describe("rendezvous", () => {
  test("the order of nodes does not matter, and each is ranked where it stands when those before it are gone", () => {
    fc.assert(fc.property(members(1), fc.string(), (list, key) => {
      const ranking = rendezvous(list).ranking(key);
      expect(rendezvous(list.toReversed()).ranking(key)).toEqual(ranking);
      let left = list;
      for (const id of ranking) {
        expect(rendezvous(left).owner(key)).toBe(id);
        left = left.filter((each) => each.id !== id);
      }
      expect(rendezvous(left).owner(key)).toBeUndefined();
    }));
  });

  test("a node more, or a greater weight, only takes keys, and its share of them", () => {
    const nodes = named(10);
    const before = ownersOf(rendezvous(nodes));
    for (const [weight, share] of [[1, 1 / 11], [3, 3 / 13]] as const) {
      const after = ownersOf(rendezvous([...nodes, { id: "new one", weight }]));
      const moved = after.filter((owner, at) => owner !== before[at]);
      expect(new Set(moved)).toEqual(new Set(["new one"]));
      expect(Math.abs(moved.length / KEYS.length - share)).toBeLessThan(0.03);
    }
  });

  test("a hundred nodes have at most 1.25 times their even share of many keys", () => {
    const keys = Array.from({ length: 100_000 }, (_, at) => `${at}`);
    const counts = counted(ownersOf(rendezvous(named(100)), keys));
    expect(counts.size).toBe(100);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(1250);
  });

  test("the logarithm is one", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), (hash) => {
      const expected = -Math.log((hash + 0.5) / 4294967296);
      expect(Math.abs(minusLog(hash) - expected)).toBeLessThan(1e-8);
    }));
    for (const hash of [0, 1, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff]) {
      expect(Math.abs(minusLog(hash) + Math.log((hash + 0.5) / 4294967296))).toBeLessThan(1e-8);
    }
  });

  test("gives the same bits on every runtime", () => {
    expect([0, 12345, 0x80000001, 0xfffffffe].map((hash) => minusLog(hash))).toEqual([
      22.873856958478193,
      12.759662874731735,
      0.6931471798614534,
      1.3609499083244714e-9,
    ]);
    const nodes = [...named(9), { id: "ключ", weight: 2.5 }];
    expect(KEYS.slice(0, 8).map((key) => nodes.findIndex(({ id }) => id === rendezvous(nodes).owner(key))))
      .toEqual(
        [8, 0, 9, 8, 1, 2, 6, 2],
      );
  });

  test.each([[[{ id: "a" }, { id: "a" }]], [[{ id: "a", weight: 0 }]], [[{ id: "a", weight: Infinity }]]])(
    "refuses what cannot be: %j",
    (nodes) => {
      expect(() => rendezvous(nodes)).toThrow(RangeError);
    },
  );
});

test("the shares of a ring are what its members get of many keys", () => {
  expect(createRing([]).shares()).toEqual(new Map());
  expect(createRing([{ id: "a" }]).shares()).toEqual(new Map([["a", 1]]));
  const ring = createRing([{ id: "a" }, { id: "b", weight: 2 }, { id: "c" }]);
  const counts = new Map<string, number>();
  for (let n = 0; n < 20_000; n++) {
    const owner = ring.owner(`key-${n}`)!;
    counts.set(owner, (counts.get(owner) ?? 0) + 1 / 20_000);
  }
  let sum = 0;
  for (const [id, share] of ring.shares()) {
    sum += share;
    expect(Math.abs(share - counts.get(id)!)).toBeLessThan(0.02);
  }
  expect(sum).toBeCloseTo(1, 9);
});
