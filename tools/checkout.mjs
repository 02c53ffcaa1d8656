// `node tools/checkout.mjs [bun|deno|node]`: the checkout of examples/checkout-saga, on one runtime.
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { ensureInstalled, ensureNode24, root, runtimes } from "./install.mjs";
import { ensureBuilt } from "./start/built.mjs";

const main = join(root, "examples/checkout-saga/main.ts");
const commands = {
  bun: () => [runtimes().bun, main],
  deno: () => [runtimes().deno, "run", "-A", "--quiet", main],
  node: async () => {
    await ensureBuilt();
    return [ensureNode24(), main];
  },
};

const [name = "bun", ...given] = process.argv.slice(2);
if (!Object.hasOwn(commands, name)) {
  console.error(`There is no runtime "${name}"; there are ${Object.keys(commands).join(", ")}`);
  process.exit(2);
}
ensureInstalled();
const [command, ...args] = await commands[name]();
const child = spawn(command, [...args, ...given], { cwd: root, stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`Cannot start ${command}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code) => process.exit(code ?? 1));
