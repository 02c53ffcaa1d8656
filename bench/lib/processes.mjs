// Child processes: each candidate gets one of its own, a little ahead of what else runs on the machine.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createServer } from "node:net";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";

export const bench = join(dirname(fileURLToPath(import.meta.url)), "..");

const flags = {
  bun: [],
  deno: ["run", "--allow-all", "--no-check", "--quiet"],
  node: ["--disable-warning=ExperimentalWarning"],
};

/**
 * Starts a script and waits for its READY. `runtime` is `{ name, path }`; Deno takes the library from its source,
 * or with `config: "deno.json"` as npm has it.
 */
export async function start(runtime, args, { config } = {}) {
  const child = launch(runtime, args, [], config);
  child.text = "";
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready after 20 s: ${args.join(" ")}`)), 20_000);
    timer.unref();
    child.stdout.on("data", (data) => {
      child.text += data;
      if (child.text.includes("READY")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`exit code ${code}: ${args.join(" ")}\n${child.errors}`)));
  }).catch((error) => {
    child.kill("SIGKILL");
    throw error;
  });
  return child;
}

/** Runs a script to its end and answers the JSON on its last line. */
export async function run(runtime, args, { nodeFlags = [], limit = 120_000 } = {}) {
  const child = launch(runtime, args, nodeFlags);
  let text = "";
  child.stdout.on("data", (data) => (text += data));
  const timer = setTimeout(() => child.kill("SIGKILL"), limit);
  const code = await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  const last = text.trimEnd().split("\n").at(-1) ?? "";
  if (code !== 0 || !last.startsWith("{")) {
    throw new Error(`exit code ${code}: ${runtime.name} ${args.join(" ")}\n${child.errors.slice(0, 2000)}`);
  }
  return JSON.parse(last);
}

/** Ends a process that {@linkcode start} began. */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

/** Two neighbouring ports that nobody listens on. */
export async function freePorts() {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    if ((await free(port)) && (await free(port + 1))) return port;
  }
}

function free(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

function launch(runtime, args, nodeFlags = [], config = "../deno.json") {
  const more = { bun: [], deno: ["--config", join(bench, config)], node: nodeFlags }[runtime.name];
  const all = [...flags[runtime.name], ...more, ...args];
  const child = spawn(runtime.path, all, { cwd: bench, stdio: ["ignore", "pipe", "pipe"] });
  child.errors = "";
  child.stderr.on("data", (data) => (child.errors += data));
  try {
    setPriority(child.pid, -10);
  } catch {
    /* not root: as everyone else */
  }
  return child;
}
