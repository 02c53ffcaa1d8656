import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { keyPrefix, stableKey, tenantOf } from "../../src/cluster/stable_key.ts";
import { snapshot } from "../../src/internal/snapshot.ts";

const LIMIT = 4096;
const keyOf = (body: unknown): string | undefined => stableKey(body, LIMIT);

/** Bodies as they travel: told apart exactly when their JSON with sorted names is. */
const json = fc.jsonValue({ maxDepth: 4 });

describe("stableKey", () => {
  test("does not depend on the order of properties, on any level", () => {
    fc.assert(fc.property(json, (body) => {
      expect(keyOf(turned(body))).toBe(keyOf(body)!);
    }));
  });

  test("tells unequal bodies apart", () => {
    fc.assert(fc.property(json, json, (one, other) => {
      expect(keyOf(one) === keyOf(other)).toBe(sorted(one) === sorted(other));
    }));
  });

  const different: readonly unknown[] = [
    undefined,
    null,
    true,
    false,
    "t",
    "u",
    "null",
    "",
    0,
    -0,
    1,
    "1",
    1n,
    "1n",
    -1n,
    17,
    17n,
    NaN,
    "NaN",
    Infinity,
    -Infinity,
    new Date(1),
    new Date(NaN),
    "1970-01-01T00:00:00.001Z",
    "D1",
    [],
    {},
    [[]],
    [{}],
    [undefined],
    [null],
    [1, 2],
    [12],
    ["1,2"],
    [[1], 2],
    [1, [2]],
    { a: undefined },
    { a: null },
    { a: 1 },
    { a: "1" },
    { b: 1 },
    { a: { b: 1 } },
    { "a:1,b": 2 },
    { a: 1, b: 2 },
    { 0: 1 },
    [1],
    "\ud800",
    "\udc00",
    "\\ud800",
    new Uint8Array([1, 2]),
    new Uint8Array([0x12]),
    new Int8Array([1, 2]),
    new Uint16Array([513]),
    new Uint8Array([1, 2]).buffer,
    new Float64Array([0]),
    new Float64Array([-0]),
    JSON.parse('{"__proto__":1}'),
    JSON.parse('{"__proto__":2}'),
  ];

  test("tells types, values and shapes apart", () => {
    const keys = different.map(keyOf);
    expect(keys.filter((key) => key === undefined)).toEqual([]);
    expect(new Set(keys).size).toBe(different.length);
    expect(new Set(different.map((body) => keyOf({ body }))).size).toBe(different.length);
  });

  test("equal ones of each kind have one key", () => {
    expect(keyOf(new Date(5))).toBe(keyOf(new Date(5))!);
    expect(keyOf(new Uint8Array([0, 1, 2]).subarray(1))).toBe(keyOf(new Uint8Array([1, 2]))!);
    expect(keyOf(Object.assign(Object.create(null), { a: 1 }))).toBe(keyOf({ a: 1 })!);
  });

  class Point {
    readonly x = 1;
  }
  const refused: readonly (readonly [string, unknown])[] = [
    ["a function", () => 1],
    ["a symbol", Symbol("a")],
    ["a class instance", new Point()],
    ["a map", new Map([[1, 2]])],
    ["a set", new Set([1])],
    ["an expression", /a/],
    ["an error", new Error("a")],
    ["a boxed number", Object(1)],
    ["a derived date", new (class extends Date {})(1)],
    ["a derived array", new (class extends Array {})()],
    ["a buffer", Buffer.from("a")],
    ["a data view", new DataView(new ArrayBuffer(2))],
    ["a date with a name", Object.assign(new Date(1), { a: 1 })],
    ["bytes with a name", Object.assign(new Uint8Array(2), { a: 1 })],
    ["an array with a name", Object.assign([1], { a: 1 })],
    ["an array with a symbol", Object.assign([1], { [Symbol("a")]: 1 })],
    ["an array with holes", [1, , 3]],
    ["an array with a hole and a name", Object.assign([1, , 3], { a: 1 })],
    ["a symbol as a name", { [Symbol("a")]: 1 }],
  ];

  test.each(refused)("refuses %s, on any level", (_name, body) => {
    expect(keyOf(body)).toBeUndefined();
    expect(keyOf({ a: [body] })).toBeUndefined();
  });

  test("refuses more than 64 levels and cycles", () => {
    const nested = (levels: number): unknown => levels === 0 ? 1 : [nested(levels - 1)];
    expect(keyOf(nested(64))).toBeDefined();
    expect(keyOf(nested(65))).toBeUndefined();
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    expect(keyOf(cycle)).toBeUndefined();
  });

  test("refuses what is over the limit, and stops early", () => {
    const looked: number[] = [];
    const watched = Array.from({ length: 40 }, (_, at) => ({
      get text() {
        looked.push(at);
        return "x".repeat(30);
      },
    }));
    expect(stableKey(watched, 100)).toBeUndefined();
    expect(looked.length).toBeLessThan(6);
    for (
      const body of ["x".repeat(99), new Uint8Array(51), new Array(200).fill(0), { ["n".repeat(100)]: 1 }]
    ) {
      expect(stableKey(body, 100)).toBeUndefined();
    }
    fc.assert(fc.property(json, fc.nat(200), (body, limit) => {
      const whole = stableKey(body, Infinity)!;
      expect(stableKey(body, limit)).toBe(whole.length > limit ? undefined : whole);
    }));
  });
});

describe("tenants", () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("-", "1:", "0:", " -", "2:ab"),
  );
  const tenant = fc.option(text, { nil: undefined });

  test("never share a key, whatever characters they have", () => {
    fc.assert(fc.property(tenant, tenant, text, text, (one, other, a, b) => {
      const same = keyPrefix("q", one) + keyOf(a) === keyPrefix("q", other) + keyOf(b);
      expect(same).toBe(one === other && a === b);
      expect((keyPrefix("q", one) + a === keyPrefix("q", other) + b) && one !== other).toBe(false);
    }));
  });

  test("never share a key where one name goes on as the other's body begins", () => {
    fc.assert(fc.property(fc.string(), fc.nat(9), fc.nat(9), (whole, one, other) => {
      const cuts = [one, other].map((at) => Math.min(at, whole.length));
      const [a, b] = cuts.map((at) => keyPrefix("q", whole.slice(0, at)) + whole.slice(at));
      expect(a === b).toBe(cuts[0] === cuts[1]);
      expect(keyPrefix("q", undefined) + whole === a).toBe(false);
    }));
  });

  test("are found under the header's name in any case", () => {
    expect(tenantOf(undefined, "tenant")).toBeUndefined();
    expect(tenantOf({ other: "a" }, "tenant")).toBeUndefined();
    expect(tenantOf({ tenant: "a", other: "b" }, "tenant")).toBe("a");
    expect(tenantOf({ Tenant: "a" }, "tenant")).toBe("a");
    expect(tenantOf({ tenant: "" }, "tenant")).toBe("");
  });

  test("named twice or by no text are none that could be told apart", () => {
    expect(tenantOf({ tenant: "a", TENANT: "b" }, "tenant")).toBeNull();
    expect(tenantOf({ tenant: 1 } as never, "tenant")).toBeNull();
    expect(tenantOf(Object.create({ tenant: "a" }), "tenant")).toBeNull();
  });
});

describe("snapshot", () => {
  test("is an equal copy that nobody can change", () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      fc.pre(!JSON.stringify(value).includes("__proto__"));
      const { value: copy, size } = snapshot(value, Infinity)!;
      expect(copy).toEqual(value);
      expect(frozen(copy)).toBe(true);
      expect(size).toBeGreaterThan(JSON.stringify(value).length / 7);
    }));
  });

  test("leaves the value as it was", () => {
    const value = { list: [{ n: 1 }] };
    const copy = snapshot(value, 1000)!.value as typeof value;
    value.list[0]!.n = 2;
    expect(copy.list[0]!.n).toBe(1);
    expect(() => copy.list.push({ n: 3 })).toThrow(TypeError);
  });

  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  test.each<readonly [string, unknown]>([
    ["a date", { at: new Date() }],
    ["bytes", [new Uint8Array(1)]],
    ["a map", new Map()],
    ["a function", { run: () => 1 }],
    ["a cycle", cycle],
    ["a hole", [1, , 2]],
    ["what is too large", { text: "x".repeat(1000) }],
    ["a list that is too long", new Array(1000).fill(0)],
  ])("there is none of %s", (_name, value) => {
    expect(snapshot(value, 1000)).toBeUndefined();
  });
});

function frozen(value: unknown): boolean {
  return typeof value !== "object" || value === null ||
    (Object.isFrozen(value) && Object.values(value).every(frozen));
}

/** The same with the order of all properties turned around. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([name, field]) => [name, turned(field)]));
}

function sorted(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sorted).join()}]`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${sorted(field)}`).join()}}`;
}
