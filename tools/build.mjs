// Builds dist/ for npm: one JavaScript file an entry, what entries share in chunks beside them, declarations file by
// file. Into a folder of its own first, so that nobody ever reads half a build: `node tools/build.mjs [dist]`.
import { spawnSync } from "node:child_process";
import { readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { ensureInstalled, root, tool } from "./install.mjs";

ensureInstalled();
const { buildSync } = await import("esbuild");
const { exports } = JSON.parse(readFileSync(join(root, "deno.json"), "utf8"));
const dist = resolve(process.argv[2] ?? join(root, "dist"));
const fresh = `${dist}.${process.pid}`;
try {
  declare();
  buildSync({
    entryPoints: Object.values(exports),
    absWorkingDir: root,
    outbase: root,
    outdir: fresh,
    tsconfig: join(root, "tsconfig.build.json"),
    bundle: true,
    splitting: true,
    chunkNames: "shared/[hash]",
    packages: "external",
    format: "esm",
    platform: "node",
    target: "es2023",
    logLevel: "warning",
  });
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

function declare() {
  const options = ["-p", "tsconfig.build.json", "--emitDeclarationOnly", "--outDir", fresh];
  const [command, ...args] = tool("typescript/bin/tsc", ...options);
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) throw new Error(`Cannot build: the TypeScript compiler ended with ${status}`);
}
