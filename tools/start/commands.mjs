// How to run an example on each runtime.
import { spawnSync } from "node:child_process";
import process from "node:process";
import { ensureNode24, runtimes } from "../install.mjs";
import { ensureBuilt } from "./built.mjs";

const names = ["bun", "deno", "node"];

/** One runtime for each of three nodes: all the same if asked for, otherwise as many as this machine has. */
export function runtimeNames(wanted) {
  if (wanted === undefined) return ["bun", "deno", nodePath() === undefined ? "bun" : "node"];
  if (!names.includes(wanted)) {
    throw new Error(`--runtime is ${wanted}, but must be one of ${names.join(", ")}`);
  }
  return [wanted, wanted, wanted];
}

/** The command line for a file on a runtime, which may write into a folder, and what to call that runtime. */
export async function commandOf(name, main, { write } = {}) {
  const { bun, deno } = runtimes();
  if (name === "bun") return { command: [bun, main], title: titleOf("Bun", bun) };
  if (name === "deno") {
    // The flag spares the log a line about how `request.signal` will change.
    const flags = ["--quiet", "--no-prompt", "--unstable-no-legacy-abort"];
    const rights = ["--allow-net", "--allow-env", "--allow-sys", "--allow-read"];
    if (write !== undefined) rights.push(`--allow-write=${write}`);
    return {
      command: [deno, "run", ...flags, ...rights, main],
      title: titleOf("Deno", deno),
    };
  }
  const node = nodePath() ?? ensureNode24();
  await ensureBuilt();
  // Node calls its SQLite an experiment; the flag spares the log that line.
  return { command: [node, "--disable-warning=ExperimentalWarning", main], title: titleOf("Node", node) };
}

/** A Node that runs TypeScript: 22.18 or newer, the one that runs this script, on the path, or fetched before. */
function nodePath() {
  const own = "Deno" in globalThis || process.versions.bun !== undefined ? "node" : process.execPath;
  return [own, "node", runtimes().node24].find((path) => path !== undefined && runsTypeScript(path));
}

function runsTypeScript(node) {
  const [major = 0, minor = 0] = versionOf(node).split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 18);
}

function titleOf(name, path) {
  return `${name} ${versionOf(path)}`;
}

/** The first version in what `--version` prints. */
function versionOf(path) {
  const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return /\d+\.\d+\.\d+/.exec(stdout ?? "")?.[0] ?? "0.0.0";
}
