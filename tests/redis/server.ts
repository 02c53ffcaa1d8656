/** A redis-server of the tests' own: on a free port of this machine, with its files in a folder that goes with it. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

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
    const kept = ["--appendonly", "yes", "--appendfsync", "everysec"];
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

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
