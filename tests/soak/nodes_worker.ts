/** Some nodes over HTTP in one process: `nodes_worker.ts FIRST COUNT PORT SECONDS`. Its last line is what it saw, as JSON. */

import process from "node:process";
import { createMediator, handle, query, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { processRuntime, serve, type Server } from "@catga/catga/serve";

const [first = 0, count = 1, port = 30_000, seconds = 10] = process.argv.slice(2).map(Number);
const Ask = query("ask", { input: type<void>(), output: type<string>() });
const runtime = processRuntime({ log: () => {} });
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const peers = [0, 1, 2].map((at) => `http://127.0.0.1:${port + at}`);

const nodes: Node[] = [];
const servers: Server[] = [];
const faulted: string[] = [];
for (let at = first; at < first + count; at++) {
  const backend = http({ peers });
  const app = createMediator({ runtime, handlers: [handle(Ask, () => `n${at}`)] });
  servers.push(await serve(backend.fetch, { port: port + at }));
  const node = await joinCluster(app, { node: `n${at}`, endpoint: `http://127.0.0.1:${port + at}`, backend });
  nodes.push(node);
  void watch(node);
}
console.log("READY");

const seen: number[] = [];
const memory: number[] = [];
for (let second = 0; second < seconds; second++) {
  await sleep(1000);
  seen.push(Math.min(...nodes.map((node) => node.members().length)));
  memory.push(Math.round(process.memoryUsage().rss / 2 ** 20));
  await Promise.all(nodes.map((node) => node.send(Ask(), { timeout: 2000 })));
}
console.log("WATCHED");
// Nobody leaves before everybody has looked.
process.stdin.on("data", () => void end());

async function end(): Promise<void> {
  const digests = new Set<number>();
  for (const node of nodes) {
    for await (const { digest } of node.watch()) {
      digests.add(digest);
      break;
    }
  }
  console.log(
    JSON.stringify({ least: seen, memory, faulted, digests: [...digests], cpu: process.cpuUsage() }),
  );
  process.exit(0);
}

async function watch(node: Node): Promise<void> {
  for await (const { events } of node.watch()) {
    for (const event of events) if (event.type === "faulted") faulted.push(`${node.id}: ${event.member.id}`);
  }
}
