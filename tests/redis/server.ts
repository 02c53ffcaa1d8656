/** A redis-server of the tests' own: on a free port of this machine, with its files in a folder that goes with it. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@redis/client";
import { freePort } from "../support/ports.ts";

export interface RedisServer extends AsyncDisposable {
  /** Where it listens: `redis://127.0.0.1:port`. The same after a restart. */
  readonly url: string;
  readonly port: number;
  /** The process, which is another one after a restart. */
  readonly pid: number;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Stops (SIGSTOP) and continues (SIGCONT) it. */
  pause(): void;
  resume(): void;
  /** Begins it again on the same port and files, or without its files. */
  restart(options?: { readonly loseFiles?: boolean }): Promise<void>;
  /** What it has printed. */
  log(): string;
}

export interface RedisServerOptions {
  /** Further settings, such as `["--maxmemory", "4mb"]`. */
  readonly settings?: readonly string[];
}

/** Begins a server; resolves when it takes connections. Fails, and says what to install, where there is none. */
export async function startRedis({ settings = [] }: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), "catga-redis-"));
  const files = join(folder, "files");
  let port = 0;
  let child: ChildProcess | undefined;
  let output = "";

  async function begin(): Promise<boolean> {
    mkdirSync(files, { recursive: true });
    output = "";
    const wanted = ["--port", String(port), "--bind", "127.0.0.1", "--dir", files, "--save", ""];
    // Outlasts a kill: with "everysec" a write may wait in the process for seconds, already answered, while the disk is busy.
    const kept = ["--appendonly", "yes", "--appendfsync", "no"];
    const started = spawn(binary(), [...wanted, ...kept, ...settings], { stdio: ["ignore", "pipe", "pipe"] });
    child = started;
    let failed: Error | undefined;
    started.once("error", (error) => failed = error);
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => output = (output + text).slice(-100_000));
    }
    for (let waited = 0; waited < 10_000; waited += 5) {
      if (failed !== undefined || started.exitCode !== null) break;
      if (output.includes("Ready to accept connections")) return true;
      await sleep(5);
    }
    if (started.exitCode === null) started.kill("SIGKILL");
    if (/Address already in use/i.test(output)) return false;
    const why = failed?.message ?? output.slice(-2000);
    throw new Error(`redis-server did not begin: ${why}. Install it with "apt-get install redis-server"`);
  }

  async function kill(): Promise<void> {
    const ended = child;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return;
    const exit = new Promise((resolve) => ended.once("exit", resolve));
    process.kill(ended.pid!, "SIGKILL");
    await exit;
  }

  try {
    // Somebody else may take the port before it does.
    for (let tries = 0; tries < 5; tries++) {
      port = await freePort();
      if (await begin()) break;
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    get url() {
      return `redis://127.0.0.1:${port}`;
    },
    get port() {
      return port;
    },
    get pid() {
      return child!.pid!;
    },
    kill,
    // Deno's child.kill() sends only the first signal.
    pause: () => void process.kill(child!.pid!, "SIGSTOP"),
    resume: () => void process.kill(child!.pid!, "SIGCONT"),
    restart: async ({ loseFiles = false } = {}) => {
      await kill();
      if (loseFiles) rmSync(files, { recursive: true, force: true });
      if (!await begin()) throw new Error(`redis-server did not get port ${port} back`);
    },
    log: () => output,
    [Symbol.asyncDispose]: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function binary(): string {
  if (process.env["REDIS_SERVER"] !== undefined) return process.env["REDIS_SERVER"];
  return existsSync("/usr/bin/redis-server") ? "/usr/bin/redis-server" : "redis-server";
}

/** A Redis Cluster of three masters without replicas, each with a third of the slots. */
export interface RedisCluster extends AsyncDisposable {
  readonly servers: readonly RedisServer[];
  readonly urls: readonly string[];
  /** Sends a command to one of them, wherever its keys are. */
  send(server: number, ...words: readonly (string | number)[]): Promise<unknown>;
  /** The slot of a key. */
  slotOf(key: string): Promise<number>;
  /** Which of them has a slot. */
  ownerOf(slot: number): Promise<number>;
  /** Begins to move a slot: from now on what is not there any longer is asked for at the other. */
  beginMove(slot: number, to: number): Promise<void>;
  /** Moves some keys of it, or all if left out; answers how many are left. */
  moveKeys(slot: number, to: number, count?: number): Promise<number>;
  /** Ends the move: the slot is the other's. */
  endMove(slot: number, to: number): Promise<void>;
}

const SLOTS = 16_384;

/** Begins three servers and joins them; resolves when each takes commands. */
export async function startRedisCluster({ settings = [] }: RedisServerOptions = {}): Promise<RedisCluster> {
  const servers: RedisServer[] = [];
  const clients: { sendCommand(words: string[]): Promise<unknown>; destroy(): void }[] = [];
  const close = async (): Promise<void> => {
    for (const client of clients) client.destroy();
    for (const server of servers) await server[Symbol.asyncDispose]();
  };
  const send = async (at: number, ...words: readonly (string | number)[]): Promise<unknown> =>
    await clients[at]!.sendCommand(words.map(String));
  const all = [0, 1, 2];
  try {
    for (const at of all) {
      const bus = await freePort();
      const own = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
      const joined = ["--cluster-port", String(bus), "--cluster-node-timeout", "2000"];
      const server = await startRedis({ settings: [...own, ...joined, ...settings] });
      servers.push(server);
      const client = createClient({ url: server.url });
      client.on("error", () => {});
      await client.connect();
      clients.push(client);
      const [from, to] = [Math.ceil(at * SLOTS / 3), Math.ceil((at + 1) * SLOTS / 3) - 1];
      await send(at, "CLUSTER", "ADDSLOTSRANGE", from, to);
      await send(at, "CLUSTER", "SET-CONFIG-EPOCH", at + 1);
      if (at > 0) await send(0, "CLUSTER", "MEET", "127.0.0.1", server.port, bus);
    }
    const ids = await Promise.all(all.map((at) => send(at, "CLUSTER", "MYID"))) as string[];
    for (let waited = 0;; waited += 20) {
      const infos = await Promise.all(all.map((at) => send(at, "CLUSTER", "INFO"))) as string[];
      if (infos.every((info) => /cluster_state:ok[^]*cluster_known_nodes:3/.test(info))) break;
      if (waited > 20_000) throw new Error(`The servers did not become a cluster: ${infos[0]}`);
      await sleep(20);
    }
    const ownerOf = async (slot: number): Promise<number> => {
      const ranges = await send(0, "CLUSTER", "SLOTS") as [number, number, [string, number, string]][];
      return ids.indexOf(ranges.find(([from, to]) => slot >= from && slot <= to)![2][2]);
    };
    return {
      servers,
      urls: servers.map(({ url }) => url),
      send,
      slotOf: async (key) => await send(0, "CLUSTER", "KEYSLOT", key) as number,
      ownerOf,
      beginMove: async (slot, to) => {
        const from = await ownerOf(slot);
        await send(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]!);
        await send(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]!);
      },
      moveKeys: async (slot, to, count = 1000) => {
        const from = await ownerOf(slot);
        const keys = await send(from, "CLUSTER", "GETKEYSINSLOT", slot, count) as string[];
        if (keys.length > 0) {
          await send(from, "MIGRATE", "127.0.0.1", servers[to]!.port, "", 0, 5000, "KEYS", ...keys);
        }
        return await send(from, "CLUSTER", "COUNTKEYSINSLOT", slot) as number;
      },
      endMove: async (slot, to) => {
        for (const at of [to, ...all.filter((at) => at !== to)]) {
          await send(at, "CLUSTER", "SETSLOT", slot, "NODE", ids[to]!);
        }
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
