// Node takes the package by its name from dist/; this builds it when it is missing or older than its source.
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { root } from "../install.mjs";

export async function ensureBuilt() {
  building ??= isBuilt() ? Promise.resolve() : build();
  await building;
}

let building;

/** Whether dist/ is there and no source is newer. */
export function isBuilt() {
  const sources = ["mod.ts", "tsconfig.build.json", "src", "adapters"].map((name) =>
    newest(join(root, name))
  );
  return newest(join(root, "dist/mod.js")) > Math.max(...sources);
}

function build() {
  process.stderr.write("Building dist/ for Node\n");
  const deno = "Deno" in globalThis ? ["run", "-A"] : [];
  const child = spawn(process.execPath, [...deno, join(root, "tools/build.mjs")], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => code === 0 ? resolve() : reject(new Error("dist/ cannot be built")));
  });
}

/** When a file, or anything in a folder, changed last; 0 for what is not there. */
function newest(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}
