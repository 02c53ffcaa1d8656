/**
 * A node on NATS that finds the others by what the server keeps. Beside what the example's nodes are given it takes
 * `NATS`, `LOG`, where it writes down what it heard, `SKEW`, how many ms its clock is wrong, and `CHATTER`, how many calls
 * it makes in a second. `/memory` answers how many bytes it takes up, `/memory?settled` how many when garbage was collected.
 */

import { appendFileSync } from "node:fs";
import process from "node:process";
import v8 from "node:v8";
import vm from "node:vm";
import { command, createMediator, handle, on, reliableEvent, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { health } from "@catga/catga/hono";
import { nats } from "@catga/catga/nats";
import { processRuntime, serve } from "@catga/catga/serve";

/** Answers with the node's name. */
export const Who = command("who", { input: type<void>(), output: type<string>() });
/** Written down by one of the nodes. */
export const Told = reliableEvent("told", { data: type<{ readonly n: number }>() });

const TURNS = 20;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { PORT, NODE_ID = "", NATS = "", LOG = "", SKEW = "0", CHATTER = "0" } = process.env;
  const real = processRuntime({
    log: ({ level, event }) => {
      if (level === "error") console.log(`error: ${event}`);
    },
  });
  const { clock } = real;
  const runtime = { ...real, clock: { ...clock, wall: () => clock.wall() + Number(SKEW) } };
  const mediator = createMediator({
    runtime,
    handlers: [
      handle(Who, () => NODE_ID),
      on(Told, ({ n }) => appendFileSync(LOG, `${n}\n`), { name: "log" }),
    ],
  });
  const life: { node?: Node } = {};
  const checks = health(() => life.node);
  const server = await serve((request) => {
    const { pathname, search } = new URL(request.url);
    if (pathname !== "/memory") return checks.fetch(request);
    if (search === "?settled") collectGarbage();
    const { rss, heapUsed, external } = process.memoryUsage();
    return Response.json({ bytes: rss, held: heapUsed + external });
  }, { port: Number(PORT), runtime: real });
  const backend = await nats(NATS, { runtime });
  const began = performance.now();
  const node = life.node = await joinCluster(mediator, {
    node: NODE_ID,
    endpoint: server.url,
    backend,
    service: "hearers",
    timing: "fast",
  });
  const { EXPECTED } = process.env;
  while (EXPECTED !== undefined && ready(node) < Number(EXPECTED)) await pause(5);
  if (EXPECTED !== undefined) console.log(`knows all after ${Math.round(performance.now() - began)} ms`);
  for (;;) {
    const calls = Math.round(Number(CHATTER) / TURNS);
    for (let call = 0; call < calls; call++) void node.send(Who());
    if (calls > 0) void node.publish(Told({ n: -1 }));
    await pause(1000 / TURNS);
  }
}

/** Twice: what is finalized by the first round goes in the second. */
function collectGarbage(): void {
  const { Bun } = globalThis as { Bun?: { gc(all: boolean): void } };
  v8.setFlagsFromString("--expose-gc");
  for (let round = 0; round < 2; round++) Bun === undefined ? vm.runInNewContext("gc()") : Bun.gc(true);
}

function ready(node: Node): number {
  return node.members().filter(({ status, reachable }) => status === "ready" && reachable).length;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
