/** The store in a file, as every store is promised to be: by two connections, on a clock that is told to go on. */

import { describe, test } from "bun:test";
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
