import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ServiceName } from "./services.ts";

/** What a service is started with. */
export interface NodePlan {
  readonly name: ServiceName;
  /** Where the guide is reached. */
  readonly guide: string;
  /** The file that all keep things in. */
  readonly file: string;
}

/** Quick, and slow enough for processes that start at once on two cores. */
export const TIMING = { heartbeat: 200, timeout: 1800, probe: 400 } as const;

const main = fileURLToPath(new URL("node.ts", import.meta.url));
const flags = "Deno" in globalThis ? ["run", "-A", "--quiet", "--unstable-no-legacy-abort"] : [];

/** The services as processes of this machine, on the runtime that runs this one. */
export class Fleet implements AsyncDisposable {
  readonly #plan: Omit<NodePlan, "name">;
  readonly #running: Map<ServiceName, ChildProcess> = new Map();

  constructor(plan: Omit<NodePlan, "name">) {
    this.#plan = plan;
  }

  /** Starts a service; it joins some time after that. */
  start(name: ServiceName): void {
    const plan: NodePlan = { ...this.#plan, name };
    const child = spawn(process.execPath, [...flags, main, JSON.stringify(plan)], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", NODE_NO_WARNINGS: "1" },
    });
    this.#running.set(name, child);
  }

  /** Pulls the plug: ends a service at once, whatever it is doing; settles when its process is gone. */
  async kill(name: ServiceName): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    // Not `child.kill`: on Deno that calls the child gone before it is.
    process.kill(child.pid!, "SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.kill(name)));
  }
}
