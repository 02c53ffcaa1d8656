// `npm run demo:nats`: a nats-server and three nodes of examples/nats-cluster, one on each runtime, until Ctrl-C.
//   -- --compare   makes a hundred orders while a node is away, shows what QoS 0 and QoS 1 told, and ends
//   -- --load      loads the first node with wrk for ten seconds, and ends
//   -- --runtime bun|deno|node   runs all nodes on one runtime
// NATS_URL=ws://… takes a server that runs already; CATGA_PORTS=6001,6002,6003 moves the nodes, 0 takes any free ports.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureInstalled, root } from "./install.mjs";
import { commandOf, runtimeNames } from "./start/commands.mjs";
import { compare } from "./start/compare_qos.mjs";
import { startNatsServer } from "./start/nats_server.mjs";
import { runNodes } from "./start/run_nodes.mjs";

const { values: flags } = parseArgs({
  options: {
    runtime: { type: "string" },
    compare: { type: "boolean", default: false },
    load: { type: "boolean", default: false },
  },
});
const folder = join(root, "examples/nats-cluster");
const quiet = flags.compare || flags.load ? { QUIET: "1" } : {};
let server;

await runNodes({
  prepare: async () => {
    ensureInstalled();
    const { NATS_URL } = process.env;
    server = NATS_URL ? { ws: NATS_URL, stop: () => {} } : await startNatsServer();
    const main = join(folder, "main.ts");
    const commands = await Promise.all(runtimeNames(flags.runtime).map((name) => commandOf(name, main)));
    return {
      commands,
      names: commands.map((_, at) => `node${at + 1}`),
      env: () => ({ NATS_URL: server.ws, ...quiet }),
    };
  },
  begun: async (nodes, launch) => {
    if (flags.compare) return await compare(nodes, launch) ? 0 : 1;
    if (flags.load) return load(nodes[0]);
    announce(nodes);
  },
  end: () => server?.stop(),
});

function announce(nodes) {
  const [first, second, third] = nodes;
  const order = `-H 'content-type: application/json' -d '{"productId":"product-123","quantity":2}'`;
  console.log([
    "",
    `Three nodes on ${server.ws}${
      server.pid === undefined ? "" : ` (nats-server, pid ${server.pid})`
    }. Ctrl-C stops them.`,
    ...nodes.map(({ name, url, pid, runtime }) => `  ${name}  ${url}  ${runtime}, pid ${pid}`),
    "Try:",
    `  curl ${first.url}/health`,
    `  curl -X POST ${first.url}/orders ${order}`,
    `  curl ${second.url}/heard`,
    `  kill ${third.pid}      and order again: the others go on`,
    `  wrk -t 2 -c 64 -d 10s --latency -s examples/nats-cluster/order.lua ${first.url}/orders`,
    "",
  ].join("\n"));
}

function load({ url }) {
  const args = [
    "-t",
    "2",
    "-c",
    "64",
    "-d",
    "10s",
    "--latency",
    "-s",
    join(folder, "order.lua"),
    `${url}/orders`,
  ];
  const { status, error } = spawnSync("wrk", args, { stdio: "inherit" });
  if (error !== undefined) {
    console.error(`Cannot run wrk: ${error.message}. Install it, for instance with "apt-get install wrk"`);
  }
  return error === undefined ? status : 1;
}
