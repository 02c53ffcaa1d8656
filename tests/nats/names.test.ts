/** Texts of users as tokens of subjects: reversibly, and never more than one token. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeToken, encodeToken } from "../../adapters/nats/names.ts";
import { HOSTILE } from "./hostile.ts";

const text = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom(...HOSTILE));

describe("a name as a token", () => {
  test.each(HOSTILE.map((name) => [JSON.stringify(name), name]))("%s stays itself", (_shown, name) => {
    const token = encodeToken(name!);
    if (token === undefined) return expect(name!.length).toBeGreaterThan(40);
    expect(token).toMatch(/^[A-Za-z0-9_-]{1,160}$/);
    expect(decodeToken(token)).toBe(name!);
  });

  test("no two names have one token", () => {
    fc.assert(fc.property(text, text, (a, b) => {
      const [left, right] = [encodeToken(a), encodeToken(b)];
      expect(left === right && left !== undefined).toBe(a === b && left !== undefined);
      if (left !== undefined) expect(decodeToken(left)).toBe(a);
    }));
  });

  test("what is no token is read as none", () => {
    for (const token of ["", "a.b", "*", ">", "_zz", "_4", "_41", "a b", "_2A", "é", "_ff"]) {
      expect(decodeToken(token)).toBe(undefined);
    }
  });
});
