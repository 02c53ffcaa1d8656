/** The queue in a file, as every queue is promised to be: by two connections, on a clock that is told to go on. */

import { describe, test } from "bun:test";
import { queueConformance, type QueueUnderTest } from "../../src/testing/queue_conformance.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { folder } from "./support.ts";

async function underTest(items = 1_000_000): Promise<QueueUnderTest> {
  const runtime = fakeRuntime();
  const files = folder();
  const options = { runtime, durability: "process", items } as const;
  const [one, two] = [await files.open(options), await files.open(options)];
  return {
    queue: one.queue,
    other: two.queue,
    pass: (ms) => runtime.advance(ms),
    close: () => files.remove(),
  };
}

/** While somebody waits, other processes are looked for each 100 ms: too often to do so for months. */
const TOO_LONG = "leases and waits of more than 24.8 days are exact";

describe("the SQLite queue is a queue", () => {
  const checks = queueConformance(() => underTest(), { virtual: true, small: () => underTest(100) });
  for (const { name, run } of checks) if (name !== TOO_LONG) test(name, run);
});
