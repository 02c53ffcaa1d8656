/**
 * A node that tells all that it sees. Beside what the example's nodes are given it takes `VIA`, JSON of ways to
 * endpoints, and `GOODBYE`, how long it goes on answering when it is to end, in ms.
 */

import process from "node:process";
import { command, createMediator, handle, query, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { health } from "@catga/catga/hono";
import { http } from "@catga/catga/http";
import { onShutdown, processRuntime, serve } from "@catga/catga/serve";

/** What a node saw, and when, in ms since 1970. */
export interface Seen {
  readonly at: number;
  readonly type: string;
  /** Whom it is about. */
  readonly id: string;
  readonly incarnation: number;
}

/** What a node knows, as `/state` answers it. */
export interface NodeState {
  readonly id: string;
  readonly incarnation: number;
  readonly digest: number;
  readonly leader: string | undefined;
  readonly members: readonly {
    readonly id: string;
    readonly incarnation: number;
    readonly status: string;
    readonly reachable: boolean;
    readonly suspected: boolean;
  }[];
  readonly seen: readonly Seen[];
  /** Its calls under way, by node. */
  readonly inFlight: Readonly<Record<string, number>>;
}

const SEEN = 10_000;
const { PORT, NODE_ID = "", PEERS = "", HEARTBEAT, VIA = "{}", GOODBYE = "1000" } = process.env;
const ways = Object.entries(JSON.parse(VIA) as Readonly<Record<string, string>>);
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const Work = command("work", {
  /** `until` when the caller waits, in ms since 1970. */
  input: type<{ takes: number; until: number }>(),
  output: type<string>(),
});
const real = processRuntime({
  log: ({ level, message, fields = {} }) => {
    if (level === "error") console.log(`error: ${message} ${String(fields["error"] ?? "")}`);
  },
});
const runtime = {
  ...real,
  fetch: (...[url, init]: Parameters<typeof real.fetch>) => real.fetch(via(url), init),
};
const work = handle(Work, ({ takes, until }) => {
  if (Date.now() > until) note("stale", NODE_ID, 0);
  return sleep(takes).then(() => NODE_ID);
});
const Odd = query("odd", { input: type<void>(), output: type<bigint>() });
const mediator = createMediator({ handlers: [work, handle(Odd, () => 1n)], runtime });
const backend = http({ peers: PEERS.split(",") });
const seen: Seen[] = [];
const life: { node?: Node; ending: boolean } = { ending: false };

const checks = health(() => {
  const { node, ending } = life;
  return node && { status: ending ? "draining" : node.status, health: () => node.health() };
});
const server = await serve(answer, { port: Number(PORT), runtime });
const timing = { heartbeat: Number(HEARTBEAT), timeout: 5 * Number(HEARTBEAT) };
const node = await joinCluster(mediator, { node: NODE_ID, endpoint: server.url, backend, timing });
life.node = node;
void watch(node);

onShutdown(async () => {
  life.ending = true;
  const left = sleep(Number(GOODBYE)).then(() => node.leave());
  await server.stop({ linger: left });
  await left;
}, { runtime });

function answer(request: Request): Response | Promise<Response> {
  const { node } = life;
  const { pathname, searchParams } = new URL(request.url);
  if (pathname.startsWith(backend.path)) return backend.fetch(request);
  if (pathname.startsWith("/health")) return checks.fetch(request);
  if (node === undefined) return Response.json({ code: "UNAVAILABLE" }, { status: 503 });
  if (pathname === "/work") {
    return send(node, Number(searchParams.get("takes")), Number(searchParams.get("timeout")));
  }
  if (pathname === "/odd") return sendOdd(node);
  if (pathname === "/state") return Response.json(stateOf(node));
  if (pathname === "/block") {
    setTimeout(block, 20, Number(searchParams.get("ms")));
    return new Response(null, { status: 202 });
  }
  return new Response(null, { status: 404 });
}

async function send(node: Node, takes: number, timeout: number): Promise<Response> {
  const result = await node.send(Work({ takes, until: Date.now() + timeout }), { timeout });
  return result.ok ? Response.json({ by: result.value }) : failed(result.error);
}

/** Asks another node for what cannot be sent. */
async function sendOdd(node: Node): Promise<Response> {
  const result = await node.send(Odd(), { route: (_call, nodes) => nodes.find(({ local }) => !local) });
  return result.ok ? Response.json({ code: "none" }) : failed(result.error);
}

function failed({ code, message }: { readonly code: string; readonly message: string }): Response {
  return Response.json({ code, message }, { status: 500 });
}

function stateOf(node: Node): NodeState {
  const { self, view, leader, targets } = node.inspect();
  const members = view.members.map(({ id, incarnation, status, reachable, suspected }) => {
    return { id, incarnation, status, reachable, suspected };
  });
  const inFlight = Object.fromEntries(targets.map((target) => [target.id, target.inFlight]));
  const { id, incarnation } = self;
  return { id, incarnation, digest: view.digest, leader: leader?.id, members, seen, inFlight };
}

async function watch(node: Node): Promise<void> {
  let doubted = new Set<string>();
  for await (const { events, members } of node.watch()) {
    for (const event of events) {
      if (event.type === "leader") note("leader", event.leader?.id ?? "nobody", 0);
      else if ("member" in event) note(event.type, event.member.id, event.member.incarnation);
    }
    const suspects = members.filter(({ suspected }) => suspected);
    for (const { id, incarnation } of suspects) if (!doubted.has(id)) note("suspected", id, incarnation);
    doubted = new Set(suspects.map(({ id }) => id));
  }
}

function note(type: string, id: string, incarnation: number): void {
  if (seen.length < SEEN) seen.push({ at: Date.now(), type, id, incarnation });
}

/** Keeps the event loop from turning. */
function block(ms: number): void {
  const end = Date.now() + ms;
  while (Date.now() < end);
}

function via(url: string): string {
  const way = ways.find(([endpoint]) => url.startsWith(`${endpoint}/`));
  return way === undefined ? url : way[1] + url.slice(way[0].length);
}
