/** Keys as subjects: no two share one, a prefix takes in what begins like it, and nothing reaches beyond the store. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { systemRuntime } from "@catga/catga/ports";
import { StoreNames } from "../../adapters/nats/store_names.ts";

const names = new StoreNames("main", systemRuntime().crypto);
const part = fc.oneof(
  fc.constantFrom("", "a", "b", "_", "_h", "*", ">", "$JS", "a.b", " ", "x".repeat(161), "語".repeat(30)),
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.string({ unit: "binary", maxLength: 6 }).filter((text) => text.isWellFormed()),
);
const key = fc.array(part, { minLength: 1, maxLength: 24 }).map((parts) => parts.join("/"))
  .filter((text) => text.length > 0 && text.length <= 512);

function matches(filter: string, subject: string): boolean {
  const [wanted, found] = [filter.split("."), subject.split(".")];
  return wanted.every((token, at) => token === ">" ? found.length > at : token === found[at]) &&
    (wanted.at(-1) === ">" || wanted.length === found.length);
}

describe("the subject of a key", () => {
  test("is one that a server takes, of bounded length, and lies below the root", async () => {
    await fc.assert(fc.asyncProperty(key, async (text) => {
      const subject = await names.subject(text);
      expect(subject).toMatch(/^catga\.main\.kv(\.[A-Za-z0-9_-]+)+$/);
      expect(subject.length).toBeLessThan(480);
      expect([names.clock, names.sweep]).not.toContain(subject);
    }));
  });

  test("is no other key's", async () => {
    await fc.assert(fc.asyncProperty(key, key, async (one, two) => {
      expect((await names.subject(one)) === (await names.subject(two))).toBe(one === two);
    }));
    const similar = ["a", "a/", "/a", "a//", "_", "_5f", "a/_", "a.b", "a_2eb", "A", "_h", "/", "//"];
    expect(new Set(await Promise.all(similar.map((text) => names.subject(text)))).size).toBe(similar.length);
  });

  test("tells the key, or is one where the message does", async () => {
    await fc.assert(fc.asyncProperty(key, async (text) => {
      const subject = await names.subject(text);
      const told = names.key(subject);
      if (told === undefined) expect(names.fits(subject, text)).toBe(true);
      else expect(told).toBe(text);
    }));
    expect(names.fits(await names.subject("x".repeat(300)), "a")).toBe(false);
    expect(names.fits(await names.subject("a"), "a")).toBe(false);
    expect(names.fits(await names.subject(`a/${"x".repeat(300)}`), "a")).toBe(false);
    for (
      const subject of ["catga.main.kv", "catga.other.kv.a", "catga.main.kv.a.", names.clock, names.sweep]
    ) {
      expect(names.key(subject)).toBeUndefined();
    }
  });

  test("is taken in by the filter of each of its prefixes", async () => {
    await fc.assert(fc.asyncProperty(key, fc.nat(), async (text, cut) => {
      const prefix = text.slice(0, cut % (text.length + 1));
      if (!prefix.isWellFormed()) return;
      expect(matches(names.filter(prefix), await names.subject(text))).toBe(true);
    }));
  });

  test("a filter asks by the whole parts of a prefix", () => {
    expect(names.filter("")).toBe("catga.main.kv.>");
    expect(names.filter("a")).toBe("catga.main.kv.>");
    expect(names.filter("a/")).toBe("catga.main.kv.a.>");
    expect(names.filter("a/b/c")).toBe("catga.main.kv.a.b.>");
    expect(names.filter(`a/${"x".repeat(300)}/c`)).toBe("catga.main.kv.a.>");
  });
});
