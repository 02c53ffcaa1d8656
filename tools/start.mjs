// `npm start`, `bun run start`, `deno task start`: three nodes of examples/orders as three processes on this machine.
// `-- --runtime bun|deno|node` runs all on one runtime, CATGA_PORTS=6001,6002,6003 moves them, CATGA_PORTS=0 takes
// any free ports. They keep their orders in .catga/orders.db, or in the file that STORAGE names. A node that dies while
// the others run is reported and left alone: they go on without it.
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureInstalled } from "./install.mjs";
import { commandOf, runtimeNames } from "./start/commands.mjs";
import { startNode } from "./start/node_process.mjs";
import { printer } from "./start/printer.mjs";
import { refuseTaken, wantedPorts } from "./start/ports.mjs";
import { storageFile } from "./start/storage.mjs";

const longestStart = 60_000;
const nodes = [];
let stopping;
let failed = false;

process.on("exit", () => nodes.forEach((node) => node.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (stopping !== undefined) process.exit(1);
    stop("Stopping; once more ends them at once");
  });
}

try {
  await start();
} catch (error) {
  console.error(`Cannot start: ${error.message}`);
  failed = true;
  await stop();
}

async function start() {
  const { runtime } = parseArgs({ options: { runtime: { type: "string" } } }).values;
  ensureInstalled();
  const storage = storageFile(process.env, process.cwd());
  const commands = await Promise.all(runtimeNames(runtime).map((name) => commandOf(name, storage)));
  const ports = await wantedPorts(process.env.CATGA_PORTS ?? "5001,5002,5003", commands.length);
  await refuseTaken(ports);
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const print = printer(process.stdout, () => stop());
  if (stopping !== undefined) return;
  commands.forEach((command, i) => {
    const env = {
      NODE_ID: `node-${i + 1}`,
      PORT: String(ports[i]),
      PEERS: urls.join(","),
      STORAGE: storage,
    };
    const node = startNode(`node-${i + 1}`, urls[i], command, env, print);
    nodes.push(node);
    node.ended.then((how) => ended(node, how));
  });
  const died = Promise.race(nodes.map(async (node) => {
    const how = await node.ended;
    if (stopping === undefined) throw new Error(`${node.name} ended ${how.said} before it was ready`);
  }));
  await Promise.race([died, Promise.all(nodes.map((node) => node.ready(nodes.length, longestStart)))]);
  died.catch(() => {});
  if (stopping === undefined) announce(storage);
}

function announce(storage) {
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

function ended(node, { said, clean }) {
  if (stopping === undefined || !clean) {
    failed = true;
    console.error(`${node.name} ended ${said}`);
  }
  if (nodes.every((each) => each.gone)) finish();
}

/** Asks all to end; those that have not done so at the deadline are killed. */
function stop(said) {
  stopping ??= Promise.all(nodes.map((node) => node.stop())).then(finish);
  if (said !== undefined) console.log(said);
  return stopping;
}

function finish() {
  process.exit(failed ? 1 : 0);
}
