import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** What a node is started with. */
export interface NodePlan {
  readonly name: string;
  readonly zone: string;
  readonly version: string;
  readonly weight: number;
}

/** Quick, and slow enough for five processes that start at once on two cores. */
export const TIMING = { heartbeat: 200, timeout: 1800, probe: 400 } as const;

const PLANS: readonly NodePlan[] = [
  { name: "node-1", zone: "east", version: "blue", weight: 1 },
  { name: "node-2", zone: "east", version: "blue", weight: 1 },
  { name: "node-3", zone: "west", version: "blue", weight: 2 },
  { name: "node-4", zone: "west", version: "green", weight: 1 },
  { name: "node-5", zone: "west", version: "green", weight: 1 },
];
export const NAMES: readonly string[] = PLANS.map(({ name }) => name);

const file = fileURLToPath(new URL("node.ts", import.meta.url));
const flags = "Deno" in globalThis ? ["run", "-A", "--quiet", "--unstable-no-legacy-abort"] : [];

/** The nodes as processes of this machine, on the runtime that runs this one. */
export class Fleet implements AsyncDisposable {
  readonly #guide: string;
  readonly #running: Map<string, ChildProcess> = new Map();

  /** @param guide where the guide of the tour is reached, who also keeps the store */
  constructor(guide: string) {
    this.#guide = guide;
  }

  /** Starts a node; it joins some time after that. */
  start(name: string): void {
    const plan = { ...PLANS.find((plan) => plan.name === name)!, guide: this.#guide };
    const child = spawn(process.execPath, [...flags, file, JSON.stringify(plan)], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" },
    });
    this.#running.set(name, child);
  }

  /** Asks a node to leave; settles when its process has ended. */
  stop(name: string): Promise<void> {
    return this.#end(name, "SIGTERM");
  }

  /** Ends a node at once, whatever it is doing; settles when its process is gone. */
  kill(name: string): Promise<void> {
    return this.#end(name, "SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.kill(name)));
  }

  async #end(name: string, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    // Not `child.kill`: on Deno that calls the child gone before it is.
    process.kill(child.pid!, signal);
    await ended;
  }
}
