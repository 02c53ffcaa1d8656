// Formats everything in place.
import { spawnSync } from "node:child_process";
import process from "node:process";
import { ensureInstalled, root, runtimes } from "./install.mjs";

ensureInstalled();
process.exitCode = spawnSync(runtimes().deno, ["fmt"], { cwd: root, stdio: "inherit" }).status ?? 1;
