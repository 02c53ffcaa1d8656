// The npm package as a user gets it: built, packed, installed from the tarball into a folder of its own.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { has, root, runtimes } from "../install.mjs";
import { exec } from "./process.mjs";

let tarball;

/** Builds and packs once for all stages that ask; answers the tarball's path. */
export function pack(folder) {
  return tarball ??= packInto(folder);
}

async function packInto(folder) {
  const to = join(folder, "tarball");
  mkdirSync(to);
  await succeed([process.execPath, ...denoRun(), join(root, "tools/build.mjs")]);
  await succeed(
    has("npm")
      ? ["npm", "pack", "--ignore-scripts", "--pack-destination", to]
      : [runtimes().bun, "pm", "pack", "--ignore-scripts", "--destination", to],
  );
  return join(to, readdirSync(to).find((name) => name.endsWith(".tgz")));
}

/**
 * A project with the packed package, our tests and examples, and links to what they need of node_modules. The source
 * is there for tests of what no entry exports; all others take the package by its name.
 */
export async function installPacked(folder) {
  const project = join(folder, "project");
  const archive = await pack(folder);
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "name": "packed", "private": true, "type": "module" }\n');
  await succeed(
    has("npm")
      ? ["npm", "install", "--no-save", "--no-package-lock", "--offline", "--ignore-scripts", archive]
      : [runtimes().bun, "add", "--ignore-scripts", archive],
    project,
  );
  for (const name of ["tests", "examples", "src", "adapters", "mod.ts"]) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(project, name), { recursive: true });
  }
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const name of Object.keys(devDependencies)) {
    const link = join(project, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, "node_modules", name), link, "junction");
  }
  return project;
}

async function succeed(command, cwd = root) {
  const { code, output } = await exec(command, { cwd });
  if (code !== 0) throw new Error(`${command.join(" ")}\n${output}`);
}

function denoRun() {
  return "Deno" in globalThis ? ["run", "-A"] : [];
}
