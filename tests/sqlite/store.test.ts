/** The store in a file, as every store is promised to be: by two connections, on a clock that is told to go on. */

import { describe, expect, test } from "bun:test";
import type { Change } from "@catga/catga/ports";
import { storeConformance, type StoreUnderTest } from "@catga/catga/testing";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { folder } from "./support.ts";

async function underTest(): Promise<StoreUnderTest> {
  const runtime = fakeRuntime();
  const files = folder();
  const options = { runtime, durability: "process" } as const;
  const [one, two] = [await files.open(options), await files.open(options)];
  return {
    store: one.store,
    other: two.store,
    pass: (ms) => runtime.advance(ms),
    close: () => files.remove(),
  };
}

describe("the SQLite store is a store", () => {
  for (const { name, run } of storeConformance(underTest)) test(name, run);
});

describe("the SQLite store", () => {
  /** What a watch tells until a key is put. */
  async function toldUntil(watch: AsyncIterable<Change>, key: string): Promise<Map<string, string>> {
    const told = new Map<string, string>();
    for await (const change of watch) {
      if (change.type === "put") told.set(change.entry.key, change.entry.value);
      if (change.type === "delete") told.delete(change.key);
      if (told.has(key)) break;
    }
    return told;
  }

  test("a watch tells of thousands of changes at once, in another process too", async () => {
    const { store, other, pass, close } = await underTest();
    for (let at = 0; at < 700; at++) await store.put(`${at}`, "old");
    const watching = [store, other!].map((each) => toldUntil(each.watch(""), "end"));
    await pass(1);
    const works: Promise<unknown>[] = [];
    for (let at = 0; at < 700; at++) {
      if (at % 3 === 0) works.push(store.delete(`${at}`));
      if (at % 3 === 1) works.push(store.put(`${at}`, "new"));
      if (at % 2 === 0) works.push(store.put(`more ${at}`, "1"), store.delete(`more ${at}`));
    }
    await Promise.all(works);
    await store.put("end", "");
    await pass(500);
    const entries = (await store.list("", { limit: 10_000 })).map(({ key, value }) => [key, value]);
    for (const told of await Promise.all(watching)) {
      expect([...told].toSorted(([a], [b]) => a! < b! ? -1 : 1)).toEqual(entries as [string, string][]);
    }
    await close!();
  });

  test("a watch that missed too many deletes breaks off, and one that begins then does not", async () => {
    const { store, other, pass, close } = await underTest();
    const reader = other!.watch("")[Symbol.asyncIterator]();
    await reader.next();
    const failure = reader.next().then(() => "ok", (error: { code: string }) => error.code);
    for (let part = 0; part < 3; part++) {
      const works = Array.from({ length: 8000 }, () => [store.put("a", ""), store.delete("a")]);
      await Promise.all(works.flat());
    }
    await pass(500);
    expect(await failure).toBe("TRANSPORT");
    await store.put("b", "");
    const again = other!.watch("")[Symbol.asyncIterator]();
    expect((await again.next()).value?.type).toBe("put");
    await again.return?.();
    await close!();
  }, 30_000);
});
