import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkTree, parseJson, UnsafeJsonError } from "../../src/internal/safe_json.ts";

const nested = (levels: number, open = "[", close = "]"): string =>
  open.repeat(levels) + (open === "[" ? "" : "1") + close.repeat(levels);

describe("safe JSON", () => {
  test("gives what JSON.parse gives for any tame value", () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      fc.pre(!JSON.stringify(value).includes("__proto__"));
      const text = JSON.stringify(value);
      expect(JSON.stringify(parseJson(text))).toBe(JSON.stringify(JSON.parse(text)));
    }));
  });

  test("refuses __proto__ at any place, and leaves every prototype as it was", () => {
    const places = fc.array(fc.oneof(fc.nat(3), fc.constantFrom("a", "b", "constructor")), { maxLength: 30 });
    fc.assert(fc.property(places, (path) => {
      const text = path.reduceRight<string>(
        (inner, key) =>
          typeof key === "number"
            ? `[${"null,".repeat(key)}${inner}]`
            : `{"x":1,${JSON.stringify(key)}:${inner}}`,
        `{"__proto__":{"polluted":true}}`,
      );
      expect(() => parseJson(text)).toThrow(UnsafeJsonError);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    }));
  });

  test.each([
    `{"__proto__":1}`,
    String.raw`{"\u005f_proto__":{}}`,
    `{"constructor":{"prototype":{"polluted":true}}}`,
    `[{"a":{"constructor":{"prototype":1}}}]`,
    nested(65),
    nested(65, `{"a":`, "}"),
    nested(1_000),
    nested(200_000),
    `[${"1,".repeat(100_000)}1]`,
    `[${"[],".repeat(50_000)}${"{},".repeat(50_000)}1]`,
  ])("refuses case %#", (text) => {
    expect(() => parseJson(text)).toThrow();
  });

  test.each([
    nested(64),
    nested(63, `{"a":`, "}"),
    `{"constructor":"Acme","prototype":{}}`,
    "null",
    `"x"`,
    "0",
  ])(
    "takes case %#",
    (text) => {
      expect(JSON.stringify(parseJson(text))).toBe(text);
    },
  );

  test("takes 99,999 items, and a malformed text is a SyntaxError", () => {
    expect(parseJson(`[${"1,".repeat(99_998)}1]`)).toHaveLength(99_999);
    expect(() => parseJson("{")).toThrow(SyntaxError);
  });

  test("walks a value that did not come from JSON, a ring included", () => {
    const ring: unknown[] = [];
    ring.push(ring);
    expect(() => checkTree(ring)).toThrow(UnsafeJsonError);
    expect(() => checkTree(undefined)).not.toThrow();
  });
});
