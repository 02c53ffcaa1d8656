/**
 * One node of the order service. Bun, `deno run` and Node run it as it is; nodes that are given one file as STORAGE share
 * what they keep there:
 *
 *     STORAGE=orders.db PORT=5001 NODE_ID=node-1 PEERS=http://127.0.0.1:5002 bun examples/orders/main.ts
 *
 * `deno serve` listens by itself and is told to the node by ENDPOINT:
 *
 *     ENDPOINT=http://127.0.0.1:8000 deno serve -A --host 127.0.0.1 examples/orders/main.ts
 */
import process from "node:process";
import { createMediator } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { type Relay, startRelay } from "@catga/catga/durable";
import { http } from "@catga/catga/http";
import { withStorage } from "@catga/catga/ports";
import { onShutdown, processRuntime, serve, type Server } from "@catga/catga/serve";
import { createApp } from "./app.ts";
import { OrderBook } from "./order_book.ts";
import { orders } from "./orders.ts";
import { stock } from "./stock.ts";
import { openStorage, type OrderStorage } from "./storage.ts";

const { PORT = "5001", HOST = "127.0.0.1", ENDPOINT, PEERS = "", CATGA_SECRET, HEARTBEAT = "1000", STORAGE } =
  process.env;
const name = process.env["NODE_ID"] ?? `node-${PORT}`;
/** After how long a node that was not heard of is dead, and others take over what it had begun, in ms. */
const timeout = 5 * Number(HEARTBEAT);
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

let storage: OrderStorage | undefined;
let relay: Relay | undefined;
let node: Node | undefined;
let server: Server | undefined;
let ending = false;
const fetch = createApp({
  node: () => node,
  health: () => node && { status: ending ? "draining" : node.status, health: () => node!.health() },
  backend,
});

try {
  storage = await openStorage(STORAGE);
  if (STORAGE === undefined) {
    say("keeps orders in its own memory, for no other node; STORAGE names a file for all");
  }
  const { store, queue } = storage;
  const unsafe = STORAGE === undefined;
  relay = startRelay({ store, queue, runtime, owner: name, unsafe });
  const keeping = { store, runtime, relay, unsafe };
  const mediator = createMediator({
    handlers: [stock(keeping, say), orders({ node: name, book, keeping, say })],
    runtime,
  });
  if (ENDPOINT === undefined) {
    server = await serve(fetch, {
      port: Number(PORT),
      hostname: HOST,
      secret: CATGA_SECRET !== undefined,
      runtime,
    });
  }
  const endpoint = ENDPOINT ?? server!.url;
  node = await joinCluster(mediator, {
    node: name,
    endpoint,
    backend: withStorage(backend, storage),
    service: "orders",
    unsafe,
    timing: { heartbeat: Number(HEARTBEAT), timeout },
    deliveries: { lease: timeout },
  });
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
  await relay!.stop();
  await storage![Symbol.asyncDispose]();
  say("left");
}, { deadline: 20_000, runtime });

async function leave(node: Node): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, goodbye));
  book.close();
  await node.leave();
}

export default ENDPOINT === undefined ? undefined : { fetch };
