/** Faults of the C# original that a file could have too, by their names in the research (reliability.md, original.md). */

import { afterEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { type Folder, folder } from "./support.ts";

let files: Folder = folder();

afterEach(async () => {
  await files.remove();
  files = folder();
});

const LARGE = "x".repeat(100_000);

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(() => "ok", (error: { code: string }) => error.code);
}

describe("faults of the original", () => {
  test("C3: a push resolves once it is kept, and rejects when it cannot be", async () => {
    const { queue } = await files.open({ bytes: 1_000_000, durability: "process" });
    await queue.subscribe("t", "a");
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, at) => codeOf(queue.push("t", [{ id: `${at}`, payload: LARGE }]))),
    );
    expect(new Set(codes)).toEqual(new Set(["ok", "OVERLOADED"]));
    const other = await files.open({ durability: "process" });
    const kept: string[] = [];
    for (let count = -1; count !== kept.length;) {
      count = kept.length;
      kept.push(...(await other.queue.pull("t", "a", { max: 100, lease: 60_000 })).map(({ id }) => id));
    }
    expect(kept).toEqual(codes.flatMap((code, at) => code === "ok" ? [`${at}`] : []));
  });

  test("C10: what could not be opened twice can be opened the third time", async () => {
    for (let times = 0; times < 2; times++) {
      writeFileSync(files.path(), "no SQLite file, but long enough to be taken for one".repeat(100));
      expect(await codeOf(files.open())).toBe("UNAVAILABLE");
    }
    rmSync(files.path());
    const { store } = await files.open();
    expect(await store.put("a", "1")).toBeGreaterThan(0);
  });

  test("C14, F24: an append that does not fit leaves none of its events, and versions without a gap", async () => {
    const { events } = await files.open({ bytes: 1_000_000, durability: "process" });
    const many = (start: number) =>
      Array.from({ length: 12 }, (_, at) => ({ id: `${start + at}`, type: "t", data: LARGE }));
    await events.append("s", [{ id: "first", type: "t", data: "" }]);
    expect(await codeOf(events.append("s", many(0), { expected: 1 }))).toBe("OVERLOADED");
    await events.append("s", many(100).slice(0, 3), { expected: 1 });
    const read = await events.read("s");
    expect(read.map(({ version }) => version)).toEqual([1, 2, 3, 4]);
    expect(read.map(({ id }) => id)).toEqual(["first", "100", "101", "102"]);
    expect((await events.readAll()).map(({ position }) => position)).toEqual([1, 2, 3, 4]);
  });

  test("F22: what is loaded and saved again and again never conflicts", async () => {
    const { events } = await files.open({ durability: "process" });
    for (let times = 0; times < 10; times++) {
      const loaded = await events.read("s");
      const expected = loaded.length === 0 ? "absent" : loaded.at(-1)!.version;
      const { version } = await events.append("s", [{ id: `${times}`, type: "t", data: "" }], { expected });
      expect(version).toBe(times + 1);
    }
  });

  test("C1, F28: a second taker finds nothing for the whole lease", async () => {
    const [one, two] = [
      await files.open({ durability: "process" }),
      await files.open({ durability: "process" }),
    ];
    await one.queue.subscribe("t", "a");
    await one.queue.push("t", [{ id: "1", payload: "" }]);
    expect((await one.queue.pull("t", "a", { max: 1, lease: 300_000 })).length).toBe(1);
    expect(await two.queue.pull("t", "a", { max: 1, lease: 300_000, wait: 200 })).toEqual([]);
  });
});
