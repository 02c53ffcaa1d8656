/** Nodes as processes of their own, on free ports, all ended when a test is done with them. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ask } from "./ask.ts";
import { freePorts } from "../support/ports.ts";

export const root: string = fileURLToPath(new URL("../../", import.meta.url));
const main = "examples/orders/main.ts";

export type RuntimeName = "bun" | "deno" | "node";
interface Runtimes {
  readonly bun: string;
  readonly deno: string;
  /** Absent where no Node 24 is there. */
  readonly node24: string | undefined;
}

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process and what it has said so far. */
export interface Running {
  readonly pid: number;
  readonly lines: readonly string[];
  readonly ended: Promise<End>;
  readonly gone: boolean;
  kill(signal: "SIGINT" | "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
}

/** A node of a cluster; `process` is its present life, the last one of `lives`. */
export interface NodeProcess {
  readonly name: string;
  readonly url: string;
  readonly runtime: RuntimeName;
  readonly lives: Running[];
  process: Running;
  /** What it is started with. */
  readonly env: Readonly<Record<string, string>>;
  /** The file that it runs. */
  readonly file: string;
}

/** What the nodes of a cluster run. */
export interface ClusterSetup {
  /** From the package's folder. @default the example's main file */
  readonly file?: string;
  /** What to give to the node at a place besides, when all endpoints are known. */
  readonly env?: (
    at: number,
    endpoints: readonly string[],
  ) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
}

const running = new Set<Running>();
process.on("exit", () => {
  for (const each of running) each.kill("SIGKILL");
});

/** One node on each runtime; where no Node 24 is there, Bun twice. */
export async function mixed(): Promise<RuntimeName[]> {
  return ["bun", "deno", (await runtimes()).node24 === undefined ? "bun" : "node"];
}

/** Starts nodes that know each other, waits until all of them see all, and ends them when `use` is done. */
export async function withCluster(
  names: readonly RuntimeName[],
  use: (nodes: readonly NodeProcess[]) => Promise<void>,
  setup: ClusterSetup = {},
): Promise<void> {
  const file = setup.file ?? main;
  const ports = await freePorts(names.length);
  const peers = ports.map((port) => `http://127.0.0.1:${port}`);
  const nodes: NodeProcess[] = [];
  try {
    for (const [i, runtime] of names.entries()) {
      const name = `node-${i + 1}`;
      const env = {
        NODE_ID: name,
        PORT: String(ports[i]),
        PEERS: peers.join(","),
        HEARTBEAT: "300",
        ...await setup.env?.(i, peers),
      };
      const process = await startMain(runtime, env, file);
      nodes.push({ name, url: peers[i]!, runtime, lives: [process], process, env, file });
    }
    await allOnline(nodes);
    await use(nodes);
  } catch (error) {
    const said = nodes.map(({ lives }) => lives.map(({ lines }) => excerpt(lines)).join("\n"));
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${said.join("\n--\n")}`, {
      cause: error,
    });
  } finally {
    await Promise.all(nodes.map((node) => end(node.process)));
  }
}

/** Gives a node that has ended another life under the same name and address. */
export async function startAgain(node: NodeProcess): Promise<void> {
  node.process = await startMain(node.runtime, node.env, node.file);
  node.lives.push(node.process);
}

/** What helps to understand a failed test. */
function excerpt(lines: readonly string[]): string {
  const troubles = lines.filter((line) => /\b(warn|error): /.test(line));
  return [...troubles.slice(0, 20), ...lines.slice(-10)].join("\n");
}

/** Waits until each of some nodes sees exactly these online. */
export async function allOnline(nodes: readonly NodeProcess[]): Promise<void> {
  for (const node of nodes) {
    await until(`${node.name} sees ${nodes.length} nodes`, async () => {
      const dead = nodes.find((each) => each.process.gone);
      if (dead !== undefined) throw new Error(`${dead.name} has ended`);
      const { health } = await healthOf(node.url);
      return health?.totalNodes === nodes.length && health.onlineNodes === nodes.length;
    });
  }
}

/** What `/health` answers; `undefined` when nothing answers. */
export async function healthOf(url: string): Promise<{ readonly health: Health | undefined }> {
  const answer = await ask("GET", `${url}/health`);
  return { health: answer.status === 200 ? answer.body as Health : undefined };
}

export interface Health {
  readonly currentNode: Readonly<Record<string, unknown>>;
  readonly totalNodes: number;
  readonly onlineNodes: number;
  readonly nodes: readonly Readonly<Record<string, unknown>>[];
}

/** Runs a node's main file. */
async function startMain(
  runtime: RuntimeName,
  env: Readonly<Record<string, string>>,
  file: string,
): Promise<Running> {
  const { bun, deno, node24 } = await runtimes();
  if (runtime === "bun") return start([bun, file], env);
  if (runtime === "deno") return start([deno, "run", "-A", "--quiet", file], env);
  return start([node24!, file], env);
}

/** Starts a process in the package's folder. */
export function start(
  [file, ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Running {
  const child: ChildProcess = spawn(file!, args, {
    cwd: root,
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      lines.push(...parts);
    });
  }
  let gone = false;
  const ended = new Promise<End>((resolve) => {
    child.on("exit", () => gone = true);
    child.on("error", (error) => {
      gone = true;
      lines.push(String(error));
      resolve({ code: null, signal: null });
    });
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
  const process_: Running = {
    pid: child.pid ?? -1,
    lines,
    ended,
    get gone() {
      return gone;
    },
    kill: (signal) => {
      try {
        if (!gone && child.pid !== undefined) process.kill(child.pid, signal);
      } catch {
        // It ended in the meantime.
      }
    },
  };
  running.add(process_);
  void ended.then(() => running.delete(process_));
  return process_;
}

/** Ends a process, whatever state it is in. */
export async function end(running: Running): Promise<void> {
  running.kill("SIGKILL");
  await running.ended;
}

/** Waits until something holds; the limit is there to end a test that will never pass. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limit = 30_000,
): Promise<void> {
  const last = Date.now() + limit;
  while (!await holds()) {
    if (Date.now() > last) throw new Error(`This never came about: ${what}`);
    await pause(25);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

let found: Promise<Runtimes> | undefined;

/** Where the runtimes are. The packed package is tested on Node without our tools, and needs no build there. */
export function runtimes(): Promise<Runtimes> {
  return found ??= find();
}

async function find(): Promise<Runtimes> {
  const tools = new URL("../../tools/", import.meta.url);
  if (!existsSync(tools)) {
    const modules = `${root}node_modules`;
    return { bun: `${modules}/bun/bin/bun.exe`, deno: `${modules}/deno/deno`, node24: process.execPath };
  }
  const install = await import(new URL("install.mjs", tools).href) as { runtimes(): Runtimes };
  const built = await import(new URL("start/built.mjs", tools).href) as { ensureBuilt(): Promise<void> };
  const all = install.runtimes();
  if (all.node24 !== undefined) await built.ensureBuilt();
  return all;
}
