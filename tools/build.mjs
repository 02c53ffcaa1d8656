// Builds dist/ for npm: the TypeScript compiler alone, JavaScript and declarations file by file.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ensureInstalled, root, tool } from "./install.mjs";

ensureInstalled();
rmSync(join(root, "dist"), { recursive: true, force: true });
const [command, ...args] = tool("typescript/bin/tsc", "-p", "tsconfig.build.json");
const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
process.exitCode = status ?? 1;
