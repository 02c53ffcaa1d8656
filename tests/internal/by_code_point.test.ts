/** Texts compare as their UTF-8 does. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { byCodePoint, sortByCodePoint } from "../../src/internal/by_code_point.ts";

const units = ["", "\u0000", "a", "b", "\u007f", "é", "\ud7ff", "\ue000", "\uffff", "😀", "😁", "\u{10ffff}"];
const text = fc.array(fc.constantFrom(...units), { maxLength: 5 }).map((parts) => parts.join(""));

function byBytes(a: string, b: string): number {
  const encoder = new TextEncoder();
  const [left, right] = [encoder.encode(a), encoder.encode(b)];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    if (left[at] !== right[at]) return left[at]! - right[at]!;
  }
  return left.length - right.length;
}

describe("byCodePoint", () => {
  test("is the order of the bytes of UTF-8", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(byCodePoint(a, b))).toBe(Math.sign(byBytes(a, b)));
      }),
      { numRuns: 1000 },
    );
  });

  test("is how texts are sorted, whichever there are", () => {
    fc.assert(fc.property(fc.array(text), (texts) => {
      expect(sortByCodePoint([...texts])).toEqual([...texts].sort(byBytes));
    }));
  });

  test("is not the order of UTF-16, which puts what is beyond 16 bits before U+E000", () => {
    expect(["\uffff", "😀"].sort()).toEqual(["😀", "\uffff"]);
    expect(["😀", "\uffff"].sort(byCodePoint)).toEqual(["\uffff", "😀"]);
  });
});
