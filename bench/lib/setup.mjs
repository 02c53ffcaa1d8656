// What has to be there before anything is measured: the peers, the runtimes, this library as Node gets it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ensureInstalled, ensureNode24, root, runtimes } from "../../tools/install.mjs";
import { bench } from "./processes.mjs";

const modules = join(bench, "node_modules");

/** Installs what is missing; answers `[{ name, path, version }]` of the runtimes asked for that there are. */
export function prepare(names) {
  ensureInstalled();
  installPeers();
  const found = [];
  for (const name of names) {
    const path = pathOf(name);
    if (path === undefined) continue;
    const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    found.push({ name, path, version: /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? "?" });
  }
  buildPackage();
  return found;
}

function pathOf(name) {
  if (name !== "node") return runtimes()[name];
  try {
    return ensureNode24();
  } catch (error) {
    process.stderr.write(`Leaving Node out: ${error.message}\n`);
    return undefined;
  }
}

function installPeers() {
  const { dependencies } = JSON.parse(readFileSync(join(bench, "package.json"), "utf8"));
  const there = Object.entries(dependencies).every(([name, version]) => {
    const manifest = join(modules, name, "package.json");
    // Some say "v1.0.0".
    return existsSync(manifest) &&
      JSON.parse(readFileSync(manifest, "utf8")).version.replace(/^v/, "") === version;
  });
  if (there) return;
  process.stderr.write("Installing the peers: npm ci in bench\n");
  const shell = process.platform === "win32";
  const { status } = spawnSync("npm", ["ci"], { cwd: bench, stdio: ["ignore", "ignore", "inherit"], shell });
  if (status !== 0) {
    throw new Error(`npm ci in bench failed with exit code ${status}`);
  }
}

// A build of its own: nobody who rebuilds dist/ meanwhile takes it away from a running measurement.
function buildPackage() {
  const out = join(bench, ".out/package");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const { name, exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  writeFileSync(join(out, "package.json"), JSON.stringify({ name, type: "module", exports }));
  const { stderr } = spawnSync(process.execPath, [join(root, "tools/build.mjs"), join(out, "dist")], {
    encoding: "utf8",
  });
  if (!existsSync(join(out, "dist/mod.js"))) {
    throw new Error(`Could not build the library:\n${stderr}`);
  }
  const link = join(modules, name);
  mkdirSync(join(link, ".."), { recursive: true });
  rmSync(link, { recursive: true, force: true });
  symlinkSync(out, link, "dir");
}
