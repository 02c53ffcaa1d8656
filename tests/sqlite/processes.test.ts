/** Several processes on one file, some of which are killed. */

import { afterEach, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Change } from "@catga/catga/ports";
import { type Folder, folder } from "./support.ts";

const worker = fileURLToPath(new URL("./worker.ts", import.meta.url));
const children: ChildProcess[] = [];
let files: Folder = folder();

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await files.remove();
  files = folder();
});

/** A process of this runtime and the lines that it has printed. */
interface Running {
  readonly lines: string[];
  readonly ended: Promise<number | null>;
  /** Waits for so many lines. */
  said(count: number): Promise<void>;
  kill(): Promise<void>;
}

function run(mode: string, name = ""): Running {
  const loaders = process.execArgv.filter((arg, at, all) =>
    arg.startsWith("--import") || all[at - 1] === "--import"
  );
  const flags = "Deno" in globalThis ? ["run", "-A", "--no-check"] : loaders;
  const child = spawn(process.execPath, [...flags, worker, files.path(), mode, name], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const lines: string[] = [];
  let rest = "";
  let heard = (): void => {};
  child.stdout!.on("data", (data: unknown) => {
    const parts = (rest + String(data)).split("\n");
    rest = parts.pop()!;
    lines.push(...parts);
    heard();
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  void ended.then(() => heard());
  return {
    lines,
    ended,
    said: async (count) => {
      while (lines.length < count && child.exitCode === null) {
        await new Promise<void>((resolve) => heard = resolve);
      }
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

describe("several processes on one file", () => {
  test("what was acknowledged survives kill -9 of those who wrote it", async () => {
    const { queue, store, events } = await files.open({ durability: "process" });
    await queue.subscribe("t", "a");
    const said: string[] = [];
    for (let round = 0; round < 3; round++) {
      const pair = [0, 1].map((at) => run("write", `${round}.${at}`));
      for (const each of pair) await each.said(30 + 40 * round);
      for (const each of pair) await each.kill();
      for (const each of pair) said.push(...each.lines);
    }
    const items = new Set<string>();
    for (;;) {
      const taken = await queue.pull("t", "a", { max: 1000, lease: 60_000 });
      if (taken.length === 0) break;
      for (const { id, payload } of taken) {
        expect([items.has(id), payload]).toEqual([false, id]);
        items.add(id);
      }
    }
    const appended = new Set<string>();
    for (let after = 0;;) {
      const page = await events.readAll({ after });
      if (page.length === 0) break;
      for (const { id } of page) appended.add(id);
      after = page.at(-1)!.position;
    }
    const lost: string[] = [];
    for (const line of said) {
      const [kind, name, number, revision] = line.split(" ");
      const id = `${name} ${number}`;
      if (kind === "item" && !items.has(id)) lost.push(line);
      if (kind === "event" && !appended.has(id)) lost.push(line);
      if (kind === "entry" && (await store.get(id))?.revision !== Number(revision)) lost.push(line);
    }
    expect(lost).toEqual([]);
    for (const kind of ["item", "event", "entry"]) {
      expect(said.filter((line) => line.startsWith(kind)).length).toBeGreaterThan(20);
    }
    for (const stream of new Set([...appended].map((id) => id.split(" ")[0]!))) {
      let version = 0;
      for (let from = 1;;) {
        const page = await events.read(stream, { from });
        for (const event of page) expect(event.version).toBe(++version);
        if (page.length === 0) break;
        from = version + 1;
      }
    }
  }, 60_000);

  test("of those that add to one value at the same time none loses what it added", async () => {
    const running = [1, 2, 3].map(() => run("add"));
    expect(await Promise.all(running.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    const { store } = await files.open();
    expect((await store.get("sum"))?.value).toBe("150");
  }, 60_000);

  test("what a killed process had in hands comes to others, and nothing is left out", async () => {
    const { queue } = await files.open({ durability: "process" });
    await queue.subscribe("t", "a");
    const ids = Array.from({ length: 5000 }, (_, at) => `${at}`);
    for (let at = 0; at < ids.length; at += 1000) {
      await queue.push("t", ids.slice(at, at + 1000).map((id) => ({ id, payload: "" })));
    }
    const done: string[] = [];
    for (let round = 0; round < 2; round++) {
      const taking = run("take");
      await taking.said(20);
      await taking.kill();
      done.push(...taking.lines.filter((line) => line.startsWith("done ")).map((line) => line.slice(5)));
    }
    while ((await queue.backlog("t", "a")).items > 0) {
      const taken = await queue.pull("t", "a", { max: 500, lease: 60_000, wait: 1000 });
      await Promise.all(taken.map((delivery) => delivery.ack()));
      done.push(...taken.map(({ id }) => id));
    }
    // Who was killed may have acknowledged one that it did not tell of.
    expect(new Set(done).size).toBeGreaterThanOrEqual(ids.length - 2);
    expect(done.length).toBeLessThanOrEqual(ids.length);
  }, 60_000);

  test("a process that waits hears of what another does", async () => {
    const { queue, store } = await files.open({ durability: "process" });
    await queue.subscribe("t", "a");
    const changes: Change[] = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const change of store.watch("other", { signal: controller.signal })) {
        changes.push(change);
        if (changes.length > 3) break;
      }
    })();
    const pulling = queue.pull("t", "a", { max: 1, lease: 1000, wait: 30_000 });
    const other = run("write", "other");
    expect((await pulling).length).toBe(1);
    await watching;
    expect(changes[0]).toEqual({ type: "ready" });
    expect(changes.slice(1).every(({ type }) => type === "put")).toBe(true);
    controller.abort();
    await other.kill();
  }, 60_000);
});
