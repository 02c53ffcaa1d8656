/** What is listed page by page: each entry once, in order, and no more pages than are wanted. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { memoryStore } from "@catga/catga/memory";
import type { Entry, ListOptions, Store } from "@catga/catga/ports";
import { pages } from "../../src/durable/pages.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";

async function filled(names: readonly string[]): Promise<Store> {
  const store = memoryStore({ clock: fakeRuntime().clock });
  for (const name of names) await store.put(name, "");
  return store;
}

/** A list that remembers what it was asked for. */
function listOf(
  store: Store,
  prefix: string,
): { asked: ListOptions[]; list: (page: ListOptions) => Promise<readonly Entry[]> } {
  const asked: ListOptions[] = [];
  return { asked, list: (page) => (asked.push(page), store.list(prefix, page)) };
}

describe("pages", () => {
  test("give each entry once and in order, wherever they begin and however many fit", async () => {
    const name = fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom("a", "b", "\uffff", "😀") });
    const given = fc.uniqueArray(name, { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(
        given,
        fc.option(name),
        fc.integer({ min: 1, max: 8 }),
        async (names, after, limit) => {
          const store = await filled(names);
          const wanted = await store.list("", after === null ? {} : { after });
          const found: Entry[] = [];
          for await (const page of pages(listOf(store, "").list, after ?? undefined, limit)) {
            expect(page.length).toBeLessThanOrEqual(limit);
            found.push(...page);
          }
          expect(found).toEqual([...wanted]);
        },
      ),
    );
  });

  test("are asked for when they are wanted, and not beyond the last", async () => {
    const { asked, list } = listOf(await filled(["a", "b", "c", "d", "e"]), "");
    for await (const page of pages(list, undefined, 2)) if (page[0]!.key === "c") break;
    expect(asked.map(({ after }) => after)).toEqual([undefined, "b"]);
    for await (const _ of pages(list, "d", 2));
    expect(asked.length).toBe(3);
  });

  test("are there where there is nothing, and none of them is empty", async () => {
    for (const names of [[], ["a", "b"]]) {
      const { list } = listOf(await filled(names), "");
      const found: number[] = [];
      for await (const page of pages(list, undefined, 2)) found.push(page.length);
      expect(found).toEqual(names.length === 0 ? [] : [2]);
    }
  });
});
