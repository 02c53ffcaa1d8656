// `npm start`, `bun run start`, `deno task start`: three nodes of examples/orders as three processes on this machine.
// `-- --runtime bun|deno|node` runs all on one runtime, CATGA_PORTS=6001,6002,6003 moves them, CATGA_PORTS=0 takes
// any free ports. They keep their orders in .catga/orders.db, or in the file that STORAGE names. A node that dies while
// the others run is reported and left alone: they go on without it.
import { dirname, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureInstalled, root } from "./install.mjs";
import { commandOf, runtimeNames } from "./start/commands.mjs";
import { runNodes } from "./start/run_nodes.mjs";
import { storageFile } from "./start/storage.mjs";

let storage;

await runNodes({
  prepare: async () => {
    const { runtime } = parseArgs({ options: { runtime: { type: "string" } } }).values;
    ensureInstalled();
    storage = storageFile(process.env, process.cwd());
    const main = join(root, "examples/orders/main.ts");
    const rights = { write: dirname(storage) };
    const commands = await Promise.all(runtimeNames(runtime).map((name) => commandOf(name, main, rights)));
    return {
      commands,
      names: commands.map((_, at) => `node-${at + 1}`),
      env: (_, urls) => ({ PEERS: urls.join(","), STORAGE: storage }),
    };
  },
  begun: announce,
});

function announce(nodes) {
  const [first, second, third] = nodes;
  const order = `-H 'content-type: application/json' -d '{"productId":"product-123","quantity":2}'`;
  console.log([
    "",
    "Three nodes serve orders, without a broker and without a database server. Ctrl-C stops them.",
    ...nodes.map(({ name, url, pid, runtime }) => `  ${name}  ${url}  ${runtime}, pid ${pid}`),
    `They keep what they do in ${storage}`,
    "Try:",
    `  curl -X POST ${first.url}/orders ${order}`,
    `  curl ${second.url}/orders`,
    `  curl ${third.url}/health`,
    "",
  ].join("\n"));
}
