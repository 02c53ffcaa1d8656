/** A server without room: what is refused says so, what was acknowledged stays, and all goes on when there is room again. */

import { describe, expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Store } from "@catga/catga/ports";
import { natsStore } from "../../adapters/nats/store.ts";
import { natsEvents } from "../../adapters/nats/events.ts";
import { beside } from "../support/beside.ts";
import { persist, queuesOn, takeUntil } from "./queue_support.ts";
import { type NatsServer, startNats } from "./server.ts";
import { eventually } from "./store_support.ts";
import { failed, type TestLink } from "./support.ts";

const test = beside(2);
const MB = 2 ** 20;
const BLOCK = new Uint8Array(MB - 1000);

/** Fills a server with what somebody else keeps there; answers what makes room again. */
async function fill({ jetstream, ask }: TestLink): Promise<() => Promise<unknown>> {
  await jetstream!.manager.streams.add({ name: "OTHERS", subjects: ["others"], max_bytes: -1 });
  let refused = false;
  for (let n = 0; !refused && n < 200; n++) {
    const answer = (await ask("others", BLOCK)).json<{ readonly error?: object }>();
    refused = answer.error !== undefined;
  }
  expect(refused).toBe(true);
  return () => jetstream!.manager.streams.delete("OTHERS");
}

/** Does something until it fails; answers how often it went well, and the code of its failure. */
async function untilRefused(work: (at: number) => Promise<unknown>): Promise<[number, unknown]> {
  for (let at = 0; at < 10_000; at++) {
    const code = await failed(work(at));
    if (code !== "ok") return [at, code];
  }
  throw new Error("It was never refused");
}

async function keysOf(store: Store): Promise<readonly string[]> {
  return (await store.list("", { limit: 20_000 })).map(({ key }) => key);
}

describe("a server whose room others have used up", () => {
  test("refuses pushes, writes and appends with OVERLOADED, keeps all it has, and takes more when there is room", async () => {
    await using server = await startNats({ room: "96MB" });
    await using queues = queuesOn(server.ws, "full");
    const { queue, link } = await queues.open({ bytes: 4 * MB });
    await using store = await natsStore(link, { bytes: 4 * MB });
    await using events = await natsEvents(link);
    await queue.subscribe("t", "g");
    const push = (at: number): Promise<void> => queue.push("t", [{ id: `${at}`, key: "k", payload: "x" }]);
    for (let at = 0; at < 50; at++) await push(at);
    const revision = await store.put("a", "1");
    const event = (id: string) => [{ id, type: "t", data: "{}" }];
    await events.append("s", event("1"));

    const makeRoom = await fill(link);
    expect(await failed(push(50))).toBe("OVERLOADED");
    expect(await failed(store.put("b", "1"))).toBe("OVERLOADED");
    expect(await failed(store.put("a", "2", { expected: revision }))).toBe("OVERLOADED");
    expect(await failed(events.append("s", event("2"), { expected: 1 }))).toBe("OVERLOADED");
    expect(await store.get("a")).toMatchObject({ value: "1", revision });
    expect((await events.read("s")).map(({ id }) => id)).toEqual(["1"]);
    const [first] = await queue.pull("t", "g", { max: 1, lease: 30_000 });
    await first!.ack();

    await makeRoom();
    await push(50);
    expect(await store.put("a", "2", { expected: revision })).toBeGreaterThan(revision);
    expect((await events.append("s", event("2"), { expected: 1 })).version).toBe(2);
    const taken = await takeUntil(queue, "t", "g", (ids) => ids.length === 50);
    expect(taken).toEqual(Array.from({ length: 50 }, (_, at) => `${at + 1}`));
  });
});

/** A disk of so many bytes; `undefined` where none may be made. */
function smallDisk(
  bytes: number,
): (Disposable & { readonly folder: string; grow(bytes: number): void }) | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "catga-disk-"));
  const mount = (...options: readonly string[]): boolean =>
    spawnSync("mount", ["-t", "tmpfs", ...options, "tmpfs", folder]).status === 0;
  if (!mount("-o", `size=${bytes}`)) {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  return {
    folder,
    grow: (bytes) => void mount("-o", `remount,size=${bytes}`),
    [Symbol.dispose]: () => {
      spawnSync("umount", ["-l", folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe("a server whose disk is full", () => {
  test("loses nothing that was acknowledged, and goes on when the disk is larger", async () => {
    using disk = smallDisk(8 * MB);
    if (disk === undefined) return;
    await using server: NatsServer = await startNats({ room: "96MB", files: join(disk.folder, "files") });
    await using queues = queuesOn(server.ws, "disk");
    const { queue, link } = await queues.open({ bytes: 16 * MB });
    await using store = await natsStore(link, { bytes: 8 * MB });
    await queue.subscribe("t", "g");
    const payload = "x".repeat(50_000);
    const push = (at: number): Promise<void> => queue.push("t", [{ id: `${at}`, key: "k", payload }]);
    for (let at = 0; at < 20; at++) await store.put(`${at}`, "1");
    const [pushed, code] = await untilRefused(push);
    expect(["OVERLOADED", "UNAVAILABLE", "TRANSPORT"]).toContain(code as string);
    expect(pushed).toBeGreaterThan(20);

    disk.grow(64 * MB);
    // It gives up what it keeps until somebody begins it again.
    await server.restart();
    await persist(() => push(pushed));
    const keys = await eventually("it is read", () => keysOf(store));
    expect(keys).toHaveLength(20);
    const taken = await takeUntil(queue, "t", "g", (ids) => ids.length > pushed);
    expect(taken).toEqual(Array.from({ length: pushed + 1 }, (_, at) => `${at}`));
  });
});
