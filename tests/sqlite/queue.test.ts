/** The queue in a file, as every queue is promised to be: by two connections, on a clock that is told to go on. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
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

describe("the SQLite queue", () => {
  let trial: QueueUnderTest;
  beforeEach(async () => {
    trial = await underTest();
    await trial.queue.subscribe("t", "a");
  });
  afterEach(() => trial.close!());

  const push = (...ids: string[]) => trial.queue.push("t", ids.map((id) => ({ id, payload: "" })));
  const pull = async (max: number): Promise<string[]> =>
    (await trial.other!.pull("t", "a", { max, lease: 60_000 })).map(({ id }) => id);

  test("hands out what has been due for longest first, be it new, given back or delayed", async () => {
    await push("1", "2");
    const [first] = await trial.queue.pull("t", "a", { max: 1, lease: 1000 });
    await first!.retry(0);
    await push("3");
    expect(await pull(2)).toEqual(["2", "1"]);
    await trial.queue.push("t", [{ id: "delayed", payload: "", delay: 100 }]);
    await trial.pass(50);
    await push("before");
    await trial.pass(100);
    await push("after");
    expect(await pull(9)).toEqual(["3", "before", "delayed", "after"]);
  });

  test("knows what is held again, whatever else is asked for in the same turn", async () => {
    await push("1", "2");
    const [one, two] = await trial.queue.pull("t", "a", { max: 2, lease: 1000 });
    await Promise.all([one!.extend(2000), one!.extend(3000), one!.ack(), two!.extend(2000), two!.retry(0)]);
    expect(await pull(9)).toEqual(["2"]);
  });

  test("takes a name again after its window, also while the one before is not done with", async () => {
    await push("1");
    await trial.pass(trial.queue.window + 1);
    await push("1");
    await push("1");
    expect(await pull(9)).toEqual(["1", "1"]);
  });

  test("hands out a large backlog in parts, each as large as it may be", async () => {
    const payload = "x".repeat(262_144);
    for (let at = 0; at < 40; at++) await trial.queue.push("t", [{ id: `${at}`, payload }]);
    const parts: number[] = [];
    for (let part = await pull(1000); part.length > 0; part = await pull(1000)) parts.push(part.length);
    expect(parts.reduce((sum, part) => sum + part, 0)).toBe(40);
    expect(parts.length).toBeGreaterThan(1);
  });

  test("finds what is due behind thousands that are held up", async () => {
    await trial.queue.push("t", [{ id: "first", key: "k", payload: "" }]);
    expect(await pull(1)).toEqual(["first"]);
    for (let page = 0; page < 3; page++) {
      const ids = Array.from({ length: 1000 }, (_, at) => `${page} ${at}`);
      await trial.queue.push("t", ids.map((id) => ({ id, key: "k", payload: "" })));
    }
    await push("free");
    expect(await pull(1)).toEqual(["free"]);
  });
});
