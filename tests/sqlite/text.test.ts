/** Texts as they are kept: they come back, in the same order, and what they begin with stays what they begin with. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { afterPrefix, fromSql, toSql } from "../../adapters/sqlite/text.ts";

const units = [
  "",
  "a",
  "b",
  "\u0000",
  "\u0001",
  "\u0002",
  "\u007f",
  "\ud7ff",
  "\ue000",
  "\u{10ffff}",
  "\u{10fffe}",
];
const text = fc.array(fc.constantFrom(...units), { maxLength: 6 }).map((parts) => parts.join(""));

/** As SQLite compares texts. */
function order(a: string, b: string): number {
  const [left, right] = [[...a], [...b]].map((points) => points.map((point) => point.codePointAt(0)!));
  for (let at = 0; at < Math.min(left!.length, right!.length); at++) {
    if (left![at] !== right![at]) return Math.sign(left![at]! - right![at]!);
  }
  return Math.sign(left!.length - right!.length);
}

describe("a text as it is kept", () => {
  test("has no zero in it, and comes back", () => {
    fc.assert(fc.property(text, (given) => {
      const kept = toSql(given);
      expect([kept.includes("\u0000"), fromSql(kept)]).toEqual([false, given]);
    }));
  });

  test("keeps its place among others, and what it begins with", () => {
    fc.assert(fc.property(text, text, (a, b) => {
      expect(order(toSql(a), toSql(b))).toBe(order(a, b));
      expect(toSql(a).startsWith(toSql(b))).toBe(a.startsWith(b));
    }));
  });

  test("comes before the end of what begins like it, and only then", () => {
    fc.assert(fc.property(text, text, (prefix, given) => {
      const end = afterPrefix(prefix);
      const within = order(given, prefix) >= 0 && (end === undefined || order(given, end) < 0);
      expect(within).toBe(given.startsWith(prefix));
      if (end !== undefined) expect(end.isWellFormed()).toBe(true);
    }));
  });
});
