/** What makes two bodies the same: what a wire makes of them, and no more than that. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalJson } from "../../src/internal/canonical_json.ts";
import { fromBase64, toBase64 } from "../../src/internal/base64.ts";

const textOf = (value: unknown): string | undefined => canonicalJson(value, 10_000);
const json = fc.jsonValue({ maxDepth: 4 });

describe("canonical JSON", () => {
  test("is JSON of the same value", () => {
    fc.assert(fc.property(json, (value) => {
      expect(JSON.parse(textOf(value)!)).toEqual(JSON.parse(JSON.stringify(value)));
    }));
  });

  test("does not change on the way over a wire, nor with the order of properties", () => {
    fc.assert(fc.property(json, (value) => {
      expect(textOf(JSON.parse(JSON.stringify(value)))).toBe(textOf(value)!);
      expect(textOf(turned(value))).toBe(textOf(value)!);
    }));
  });

  test("tells apart what is not equal", () => {
    fc.assert(fc.property(json, json, (one, other) => {
      const equal = textOf(JSON.parse(JSON.stringify(one))) === textOf(JSON.parse(JSON.stringify(other)));
      expect(textOf(one) === textOf(other)).toBe(equal);
    }));
    const different = [
      undefined,
      null,
      true,
      "true",
      0,
      "0",
      "",
      [],
      {},
      [[]],
      [{}],
      [null],
      [1, 2],
      [12],
      { a: 1 },
      {
        a: "1",
      },
      { a: null },
      { a: { b: 1 } },
      { 'a":1,"b': 2 },
      { a: 1, b: 2 },
      "\ud800",
      "\\ud800",
      JSON.parse('{"__proto__":1}'),
    ];
    expect(new Set(different.map(textOf)).size).toBe(different.length);
  });

  // The first two are of RFC 8785, sections 3.2.3 and 3.2.2.
  test.each<readonly [text: string, value: unknown]>([
    [
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
      { "\u20ac": 1, "\r": 2, "\ufb33": 3, 1: 4, "\u{1f600}": 5, "\u0080": 6, "\u00f6": 7 },
    ],
    ["[333333333.3333333,1e+30,4.5,0.002,1e-27]", [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27]],
    ['{"a":[null,null,null,0]}', { b: undefined, a: [undefined, NaN, Infinity, -0] }],
    ['"1970-01-01T00:00:00.000Z"', new Date(0)],
    ['{"at":{"a":2,"b":1}}', { at: { toJSON: () => ({ b: 1, a: 2 }) } }],
    ['{"0":7,"1":8}', new Uint8Array([7, 8])],
    ['{"a":1}', Object.assign(Object.create(null), { a: 1 })],
    ["[1,null,3]", [1, , 3]],
    ["", undefined],
  ])("writes %s", (text, value) => {
    expect(textOf(value)).toBe(text);
  });

  class Secret {
    readonly #hidden = 1;
    readonly shown = 2;
    get sum(): number {
      return this.#hidden + this.shown;
    }
  }
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  test.each<readonly [string, unknown]>([
    ["a map", new Map([[1, 2]])],
    ["a set", new Set([1])],
    ["a function", () => 1],
    ["a symbol", Symbol("a")],
    ["a name that is a symbol", { [Symbol("a")]: 1 }],
    ["a bigint", 1n],
    ["an instance of a class", new Secret()],
    ["an error", new Error("a")],
    ["a data view", new DataView(new ArrayBuffer(2))],
    ["a buffer without a view", new ArrayBuffer(2)],
    ["what turns into nothing", { toJSON: () => undefined }],
    ["what turns into itself without end", { toJSON: () => [[[cycle]]] }],
    ["a cycle", cycle],
  ])("there is none of %s, on any level", (_name, value) => {
    expect(textOf(value)).toBeUndefined();
    expect(textOf({ a: [value] })).toBeUndefined();
  });

  test("there is none of more than 64 levels", () => {
    const nested = (levels: number): unknown => levels === 0 ? 1 : [nested(levels - 1)];
    expect(textOf(nested(64))).toBeDefined();
    expect(textOf(nested(65))).toBeUndefined();
  });

  test("there is none over the limit", () => {
    fc.assert(fc.property(json, fc.nat(200), (value, limit) => {
      const whole = textOf(value)!;
      expect(canonicalJson(value, limit)).toBe(whole.length > limit ? undefined : whole);
    }));
  });
});

describe("base64", () => {
  test("leads back to the same bytes, however many", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(fromBase64(toBase64(bytes))).toEqual(bytes);
    }));
    const many = Uint8Array.from({ length: 100_001 }, (_, at) => at * 31);
    expect(fromBase64(toBase64(many))).toEqual(many);
  });
});

/** The same with the order of all properties turned around. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([name, field]) => [name, turned(field)]));
}
