/** Several processes on one file, some of which are killed. */

import { afterEach, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { command, createMediator, handle, type } from "@catga/catga";
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
  /** Lets it go on after it has stopped itself. */
  goOn(): void;
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
    // Deno takes what a child is told by its own method for the end of it.
    goOn: () => void process.kill(child.pid!, "SIGCONT"),
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

describe("while a process stands still in the middle of a write", () => {
  const codeOf = (work: Promise<unknown>): Promise<string> =>
    work.then(() => "ok", (error: { readonly code: string }) => error.code);

  test(
    "the others read on, and each of their writes ends in time with a failure that says nothing was done",
    async () => {
      const { store, queue, events } = await files.open({ durability: "process", busy: 300 });
      await store.put("a", "1");
      await queue.subscribe("t", "a");
      const other = run("hold");
      await other.said(1);
      let beats = 0;
      const beat = setInterval(() => beats++, 5);
      const writes = [
        store.put("a", "2"),
        store.delete("a"),
        queue.push("t", [{ id: "1", payload: "" }]),
        events.append("s", [{ id: "1", type: "t", data: "{}" }]),
        files.open({ busy: 300 }),
      ];
      const codes = Promise.all(writes.map(codeOf));
      expect((await store.get("a"))?.value).toBe("1");
      expect((await store.list("")).length).toBe(1);
      expect(await events.head()).toBe(0);
      expect(await codes).toEqual(writes.map(() => "UNAVAILABLE"));
      clearInterval(beat);
      // The event loop went on, as nothing waits for the file without letting others have their turn.
      expect(beats).toBeGreaterThan(5);
      other.goOn();
      expect(await other.ended).toBe(0);
      expect([(await store.get("a"))?.value, await events.head()]).toEqual(["1", 0]);
      await store.put("a", "3");
      expect(await queue.pull("t", "a", { max: 1, lease: 1000 })).toEqual([]);
    },
    60_000,
  );

  test(
    "a caller's own deadline counts, and who has time gets it done when that process goes on",
    async () => {
      const { store } = await files.open({ durability: "process", busy: 60_000 });
      const Put = command("put", { input: type<string>(), output: type<number>() });
      const app = createMediator({
        handlers: [handle(Put, (key, { signal }) => store.put(key, "", { signal }))],
      });
      const other = run("hold");
      await other.said(1);
      const given = new AbortController();
      const patient = store.put("patient", "");
      const hasty = codeOf(store.put("hasty", "", { signal: given.signal }));
      const late = await app.send(Put("late"), { timeout: 50 });
      given.abort();
      expect([late.ok || late.error.code, await hasty]).toEqual(["TIMEOUT", "CANCELLED"]);
      other.goOn();
      await patient;
      expect(await other.ended).toBe(0);
      expect((await store.list("")).map(({ key }) => key)).toEqual(["patient"]);
    },
    60_000,
  );
});
