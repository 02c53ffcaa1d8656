// `npm run order:redis`: a redis-server, its REST API and two nodes of examples/order-redis, one on Bun and one on Deno,
// until Ctrl-C.
//   -- --runtime bun|deno|node   runs both nodes on one runtime
// UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN take a REST API that is there, REDIS_URL=redis://… a server that
// runs already; CATGA_PORTS=6001,6002 moves the nodes, 0 takes any free ports.
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureInstalled, root } from "./install.mjs";
import { commandOf, runtimeNames } from "./start/commands.mjs";
import { startRedisStand } from "./start/redis_stand.mjs";
import { runNodes } from "./start/run_nodes.mjs";

const { values: flags } = parseArgs({ options: { runtime: { type: "string" } } });
const { REDIS_URL, UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN } = process.env;
process.env.CATGA_PORTS ??= "5001,5002";
let stand;
let stopping = false;

await runNodes({
  prepare: async () => {
    ensureInstalled();
    stand = await openRedis();
    stand.ended?.then(() => stopping || console.error("redis-server or the gateway ended by itself"));
    const main = join(root, "examples/order-redis/main.ts");
    const names = runtimeNames(flags.runtime).slice(0, 2);
    const commands = await Promise.all(names.map((name) => commandOf(name, main)));
    const env = { UPSTASH_REDIS_REST_URL: stand.url, UPSTASH_REDIS_REST_TOKEN: stand.token };
    return { commands, names: ["node-1", "node-2"], env: () => env };
  },
  begun: announce,
  end: async () => {
    stopping = true;
    await stand?.stop();
  },
});

async function openRedis() {
  if (UPSTASH_REDIS_REST_URL === undefined) return await startRedisStand({ redis: REDIS_URL });
  return { url: UPSTASH_REDIS_REST_URL, token: UPSTASH_REDIS_REST_TOKEN, pids: {}, stop: () => {} };
}

function announce(nodes) {
  const [first, second] = nodes;
  const json = "-H 'content-type: application/json'";
  const order = `${json} -H 'idempotency-key: 1' -d '{"productId":"product-999","quantity":2}'`;
  const { redis, gateway } = stand.pids;
  console.log([
    "",
    `Two nodes and a Redis that they reach by ${stand.url}. Ctrl-C stops them.`,
    ...nodes.map(({ name, url, pid, runtime }) => `  ${name}  ${url}  ${runtime}, pid ${pid}`),
    ...(redis === undefined ? [] : [`  redis-server, pid ${redis}`]),
    ...(gateway === undefined ? [] : [`  gateway, pid ${gateway}`]),
    "Try:",
    `  curl -X POST ${first.url}/orders ${order}`,
    "      again, on either node: it is the same order",
    `  curl ${second.url}/products/product-999/stock`,
    `  curl ${first.url}/products/product-123`,
    "      twice: the second time nobody asks Redis",
    `  curl -X PUT ${second.url}/products/product-123/price ${json} -d '{"price":1499}'`,
    "      and ask both nodes again",
    `  kill -9 ${second.pid}      and order again: the other goes on`,
    "",
  ].join("\n"));
}
