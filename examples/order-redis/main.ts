/**
 * One node of a shop that keeps everything in Redis, which it reaches by HTTP alone. Bun, `deno run -A` and Node run it as
 * it is; `npm run redis:gateway` or an account at Upstash gives the address and the token:
 *
 *     UPSTASH_REDIS_REST_URL=http://127.0.0.1:8079 UPSTASH_REDIS_REST_TOKEN=… NODE_ID=node-1 PORT=5001 \
 *       bun examples/order-redis/main.ts
 */
import process from "node:process";
import { createMediator } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { createLocks, idempotent, startRelay } from "@catga/catga/durable";
import { http } from "@catga/catga/http";
import { withStorage } from "@catga/catga/ports";
import { redis } from "@catga/catga/redis";
import { onShutdown, processRuntime, serve, type Server } from "@catga/catga/serve";
import { createApp } from "./app.ts";
import { orders } from "./orders.ts";
import { openPrices, products } from "./products.ts";
import { openStock } from "./stock.ts";

const {
  PORT = "5001",
  CATGA_SECRET,
  UPSTASH_REDIS_REST_URL: url = "http://127.0.0.1:8079",
  UPSTASH_REDIS_REST_TOKEN: token = "",
} = process.env;
const name = process.env["NODE_ID"] ?? `node-${PORT}`;
/** After how long a node that was not heard of is dead, and others take over what it had begun, in ms. */
const timeout = 3000;

const say = (text: string): void => console.log(`[${name}] ${text}`);
const runtime = processRuntime({
  log: ({ level, message, fields = {} }) => {
    if (level === "warn" || level === "error") {
      say(`${level}: ${message} ${String(fields["error"] ?? fields["cause"] ?? "")}`);
    }
  },
});

const life: { server?: Server; node?: Node } = {};
try {
  // The soonest answers; an idle node then takes up to 2,400 commands a minute instead of 30.
  const storage = redis({ url, token }, { runtime, polling: "fast", endpoint: () => life.server?.url });
  const backend = http({
    peers: storage.discovery,
    ...(CATGA_SECRET === undefined ? {} : { secret: CATGA_SECRET }),
  });
  life.server = await serve(createApp(() => life.node, backend), {
    port: Number(PORT),
    hostname: "127.0.0.1",
    runtime,
  });

  const { store, queue } = storage;
  const relay = startRelay({ store, queue, runtime, owner: name });
  const locks = createLocks({ store, runtime, owner: name, ttl: timeout });
  const keeping = { store, runtime, relay };
  const [prices, stock] = [openPrices(keeping), openStock(keeping)];
  const mediator = createMediator({
    handlers: [
      orders({ node: name, keeping, locks, prices, stock, say }),
      products(prices, stock, say),
    ],
    behaviors: [idempotent({ store, ttl: timeout })],
    runtime,
  });
  life.node = await joinCluster(mediator, {
    node: name,
    endpoint: life.server.url,
    backend: withStorage(backend, storage),
    service: "shop",
    timing: { heartbeat: timeout / 5, timeout },
    deliveries: { lease: timeout },
  });
  say(`joined at ${life.server.url}`);

  onShutdown(async () => {
    const left = life.node!.leave();
    await life.server!.stop({ linger: left });
    await left;
    await locks[Symbol.asyncDispose]();
    await relay.stop();
    await storage[Symbol.asyncDispose]();
    say("left");
  }, { deadline: 15_000, runtime });
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
