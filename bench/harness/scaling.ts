/**
 * One process of the scaling row; the last line it prints is JSON with `perSecond`.
 * `scaling.ts bare {"warmup":500,"ms":2000}` hashes as often as it can.
 * `scaling.ts node PORT` serves the hashing and prints READY.
 * `scaling.ts call ROUTER PORT,PORT OWN_PORT {"warmup":500,"ms":2000}` calls the nodes in a closed loop.
 */
import process from "node:process";
import { createMediator, handle, type Module, query, type Router, type } from "@catga/catga";
import { joinCluster, type Node, powerOfTwo, roundRobin } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { processRuntime, serve } from "@catga/catga/serve";
import { cpuOf } from "./cpu.ts";

interface Effort {
  /** ms */
  readonly warmup: number;
  /** ms */
  readonly ms: number;
}

const IN_FLIGHT = 128;
/** As many steps as take some 0.2 ms. */
const STEPS = 150_000;

const Hash = query("hash", { input: type<{ readonly seed: number }>(), output: type<number>() });
const runtime = processRuntime();
const routers: Readonly<Record<string, () => Router>> = { roundRobin, powerOfTwo: () => powerOfTwo(runtime) };

const [role, ...rest] = process.argv.slice(2);
if (role === "bare") {
  const { warmup, ms } = JSON.parse(rest[0]!) as Effort;
  hashFor(warmup);
  finish({ perSecond: hashFor(ms) / ms * 1000 });
} else if (role === "node") {
  const [port] = rest;
  await join(`node-${port}`, Number(port), [], [handle(Hash, ({ seed }) => hashed(seed))]);
  console.log("READY");
} else {
  const [router, ports, own, json] = rest as [string, string, string, string];
  const { warmup, ms } = JSON.parse(json) as Effort;
  const seeds = ports.split(",").map(Number);
  const node = await join("caller", Number(own), seeds, []);
  while (node.explain(Hash({ seed: 0 })).candidates.length < seeds.length) await sleep(10);
  const route = routers[router]!();
  await call(node, route, warmup);
  const before = cpuOf("self");
  const start = performance.now();
  const calls = await call(node, route, ms);
  const seconds = (performance.now() - start) / 1000;
  finish({ perSecond: calls / seconds, callerCpu: (cpuOf("self") - before) / calls });
}

/** FNV-1a over bytes that come of a seed. */
function hashed(seed: number): number {
  let hash = seed;
  for (let at = 0; at < STEPS; at++) hash = Math.imul(hash ^ (at & 255), 0x01000193);
  return hash >>> 0;
}

/** How often it could be done in so many ms. */
function hashFor(ms: number): number {
  const end = performance.now() + ms;
  let count = 0;
  let sum = 0;
  while (performance.now() < end) sum += hashed(count++);
  return sum < 0 ? 0 : count;
}

async function call(node: Node, route: Router, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let calls = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      const result = await node.send(Hash({ seed: calls }), { route });
      if (!result.ok) throw new Error(result.error.message);
      calls++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
  return calls;
}

async function join(name: string, port: number, seeds: readonly number[], handlers: Module): Promise<Node> {
  const backend = http({ peers: seeds.map((seed) => `http://127.0.0.1:${seed}`) });
  const server = await serve(backend.fetch, { port, runtime });
  return await joinCluster(createMediator({ handlers, runtime }), {
    node: name,
    endpoint: server.url,
    backend,
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function finish(figures: Readonly<Record<string, number>>): void {
  console.log(JSON.stringify(figures));
  process.exit(0);
}
