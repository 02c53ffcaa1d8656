/**
 * One node of the order service. Bun, `deno run` and Node run it as it is:
 *
 *     PORT=5001 NODE_ID=node-1 PEERS=http://127.0.0.1:5002 bun examples/orders/main.ts
 *
 * `deno serve` listens by itself and is told to the node by ENDPOINT:
 *
 *     ENDPOINT=http://127.0.0.1:8000 deno serve -A --host 127.0.0.1 examples/orders/main.ts
 */
import process from "node:process";
import { createMediator } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { onShutdown, processRuntime, serve, type Server } from "@catga/catga/serve";
import { createApp } from "./app.ts";
import { OrderBook } from "./order_book.ts";
import { orders } from "./orders.ts";
import { stock } from "./stock.ts";

const { PORT = "5001", HOST = "127.0.0.1", ENDPOINT, PEERS = "", CATGA_SECRET, HEARTBEAT = "1000" } =
  process.env;
const name = process.env["NODE_ID"] ?? `node-${PORT}`;
/** How long a node that ends goes on answering, in ms, so that clients have time to turn to another one. */
const goodbye = 1000;

const say = (text: string): void => console.log(`[${name}] ${text}`);
const runtime = processRuntime({
  log: ({ level, message, fields = {} }) => {
    if (level === "warn" || level === "error") {
      say(`${level}: ${message} ${String(fields["error"] ?? fields["cause"] ?? "")}`);
    }
  },
});
const backend = http({
  peers: PEERS.split(",").filter((peer) => peer !== ""),
  ...(CATGA_SECRET === undefined ? {} : { secret: CATGA_SECRET }),
});
const book = new OrderBook();
const mediator = createMediator({ handlers: [stock(say), orders(name, book, say)], runtime });

let node: Node | undefined;
let server: Server | undefined;
let ending = false;
const fetch = createApp({
  node: () => node,
  health: () => node && { status: ending ? "draining" : node.status, health: () => node!.health() },
  backend,
});

try {
  if (ENDPOINT === undefined) {
    server = await serve(fetch, {
      port: Number(PORT),
      hostname: HOST,
      secret: CATGA_SECRET !== undefined,
      runtime,
    });
  }
  const endpoint = ENDPOINT ?? server!.url;
  const timing = { heartbeat: Number(HEARTBEAT), timeout: 5 * Number(HEARTBEAT) };
  node = await joinCluster(mediator, { node: name, endpoint, backend, timing });
  say(`joined at ${endpoint}`);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}

onShutdown(async () => {
  ending = true;
  const left = leave(node!);
  // Until it has left the other nodes reach it, and clients are asked to close their connections.
  await server?.stop({ linger: left });
  await left;
  say("left");
}, { deadline: 20_000, runtime });

async function leave(node: Node): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, goodbye));
  book.close();
  await node.leave();
}

export default ENDPOINT === undefined ? undefined : { fetch };
