import { describe, expect, test } from "bun:test";
import { hash32, mix32 } from "../../src/internal/hash.ts";

describe("hash32", () => {
  test.each([
    ["", 0x811c9dc5],
    ["a", 0xe40c292c],
    ["foobar", 0xbf9cf968],
  ])("is published FNV-1a, mixed: %p", (text, fnv) => {
    expect(hash32(text)).toBe(mix32(fnv));
  });

  // MurmurHash3 x86_32 of no bytes is its final mix of the seed.
  test.each([[0, 0], [1, 0x514e28b7], [0xffffffff, 0x81f16f39]])(
    "mixes as MurmurHash3 does: %p",
    (bits, mixed) => {
      expect(mix32(bits)).toBe(mixed);
    },
  );

  test.each([["orders.create", 0x77671e33], ["ключ", 0xbddc5d78], ["\u{1f600}\0", 0x7919d3d9]])(
    "has one value on every runtime: %p",
    (text, hash) => {
      expect(hash32(text)).toBe(hash);
    },
  );

  test("takes every bit of a code unit", () => {
    expect(hash32("\u0161")).not.toBe(hash32("a"));
  });
});
