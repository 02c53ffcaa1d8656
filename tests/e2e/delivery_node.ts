/**
 * A node that hears reliable events from a file that all nodes share, from NATS or from Redis. Beside what the example's
 * nodes are given it takes the storage as `FILE`, `NATS`, or `REDIS` and `REDIS_TOKEN`, `LOG`, where it writes down what
 * it heard, and `LEASE` in ms.
 */

import { appendFileSync } from "node:fs";
import process from "node:process";
import { createMediator, on, reliableEvent, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { records } from "@catga/catga/durable";
import { health } from "@catga/catga/hono";
import { http } from "@catga/catga/http";
import { nats } from "@catga/catga/nats";
import { withStorage } from "@catga/catga/ports";
import { redis } from "@catga/catga/redis";
import { processRuntime, serve } from "@catga/catga/serve";
import { sqlite } from "@catga/catga/sqlite";

/** Heard at least once. */
export const Told = reliableEvent("told", { data: type<{ readonly n: number }>() });
/** Its effect happens once. */
export const Counted = reliableEvent("counted", {
  data: type<{ readonly n: number; readonly counter: string }>(),
  key: ({ counter }) => counter,
  delivery: { qos: 2 },
});
/** What the nodes are called together. */
export const SERVICE = "counters";

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { PORT, NODE_ID = "", PEERS = "", HEARTBEAT, FILE = "", NATS, REDIS, LOG = "", LEASE } = process.env;
  const runtime = processRuntime({
    log: ({ level, message }) => {
      if (level === "error") console.log(`error: ${message}`);
    },
  });
  const onNats = NATS === undefined ? undefined : await nats(NATS, { runtime });
  const onRedis = REDIS === undefined
    ? undefined
    : redis({ url: REDIS, token: process.env["REDIS_TOKEN"] ?? "" }, { runtime, polling: "fast" });
  const storage = onNats ?? onRedis ?? await sqlite(FILE, { durability: "process" });
  const store = storage.store!;
  const counters = records<number>("counters", { store, runtime });
  const mediator = createMediator({
    runtime,
    handlers: [
      on(Told, ({ n }) => appendFileSync(LOG, `${n}\n`), { name: "log" }),
      on(Counted, async ({ counter }, context) => {
        await counters.update(counter, (count = 0) => count + 1, { context });
      }, { name: "count" }),
    ],
  });
  const onHttp = http({ peers: PEERS.split(",") });
  const life: { node?: Node } = {};
  const checks = health(() => life.node);
  const server = await serve((request) => {
    return new URL(request.url).pathname.startsWith(onHttp.path)
      ? onHttp.fetch(request)
      : checks.fetch(request);
  }, { port: Number(PORT), runtime });
  life.node = await joinCluster(mediator, {
    node: NODE_ID,
    endpoint: server.url,
    backend: onNats ?? withStorage(onHttp, storage),
    service: SERVICE,
    deliveries: { lease: Number(LEASE) },
    timing: { heartbeat: Number(HEARTBEAT), timeout: 5 * Number(HEARTBEAT) },
  });
}
