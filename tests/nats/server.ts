/** A nats-server of the tests' own: on free ports of this machine, with its files in a folder that goes with it. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../support/ports.ts";

export interface NatsServerOptions {
  /** Lines for the server's configuration, such as who may come in. */
  readonly settings?: string;
  /** What its WebSocket is encrypted by, such as `tls { cert_file: … }`. @default nothing */
  readonly wss?: string;
  /** Whether it keeps anything. @default true */
  readonly jetstream?: boolean;
  /** How much it may keep, such as `80MB`. @default as much as the disk has room for */
  readonly room?: string;
  /** Where its files go. @default a folder of its own */
  readonly files?: string;
}

export interface NatsServer extends AsyncDisposable {
  /** Where it listens: `nats://127.0.0.1:port`. The same after a restart. */
  readonly url: string;
  /** The same for WebSocket. */
  readonly ws: string;
  /** The process, which is another one after a restart. */
  readonly pid: number;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Stops (SIGSTOP) and continues (SIGCONT) it. */
  pause(): void;
  resume(): void;
  /** Begins it again on the same ports and files, or without its files. */
  restart(options?: { readonly loseFiles?: boolean }): Promise<void>;
}

/** Begins a server; resolves when it takes connections. Fails, and says what to install, where there is none. */
export async function startNats(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { settings = "", wss = "no_tls: true", jetstream = true, room } = options;
  const folder = mkdtempSync(join(tmpdir(), "catga-nats-"));
  const files = options.files ?? join(folder, "files");
  const most = room === undefined ? "" : `, max_file: ${room}`;
  const ports = { nats: 0, ws: 0 };
  let child: ChildProcess | undefined;

  /** Answers whether it got its ports. */
  async function begin(): Promise<boolean> {
    const log = join(folder, "log");
    rmSync(log, { force: true });
    mkdirSync(files, { recursive: true });
    writeFileSync(
      join(folder, "server.conf"),
      [
        `host: 127.0.0.1`,
        `port: ${ports.nats}`,
        `websocket { host: 127.0.0.1, port: ${ports.ws}, ${wss} }`,
        jetstream ? `jetstream { store_dir: "${files}"${most} }` : "",
        `log_file: "${log}"`,
        settings,
      ].join("\n"),
    );
    const started = spawn(binary(), ["-c", join(folder, "server.conf")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child = started;
    let failure = "";
    started.once("error", (error) => failure = error.message);
    started.stderr.setEncoding("utf8").on("data", (text: string) => failure += text);
    const said = (): string => existsSync(log) ? readFileSync(log, "utf8").slice(-2000) : "";
    for (let waited = 0; waited < 20_000; waited += 10) {
      if (said().includes("Server is ready")) return true;
      if (failure !== "" || started.exitCode !== null) break;
      await sleep(10);
    }
    if (started.exitCode === null) started.kill("SIGKILL");
    if (said().includes("address already in use")) return false;
    throw new Error(
      `nats-server did not begin: ${failure}${said()}. Install it with "apt-get install nats-server"`,
    );
  }

  async function kill(): Promise<void> {
    const ended = child;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return;
    const exit = new Promise((resolve) => ended.once("exit", resolve));
    ended.kill("SIGKILL");
    await exit;
  }

  // A run that is cut short leaves nothing behind, unless it is killed.
  const end = (): void => {
    child?.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", end);
  try {
    // Somebody else may take a port before it does.
    for (let tries = 0; tries < 5; tries++) {
      [ports.nats, ports.ws] = await freePorts(2) as [number, number];
      if (await begin()) break;
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    get url() {
      return `nats://127.0.0.1:${ports.nats}`;
    },
    get ws() {
      return `ws://127.0.0.1:${ports.ws}`;
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
      if (!await begin()) throw new Error(`nats-server did not get port ${ports.nats} or ${ports.ws} back`);
    },
    [Symbol.asyncDispose]: async () => {
      process.removeListener("exit", end);
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function binary(): string {
  if (process.env["NATS_SERVER"] !== undefined) return process.env["NATS_SERVER"];
  return existsSync("/usr/sbin/nats-server") ? "/usr/sbin/nats-server" : "nats-server";
}
