/**
 * How long no call of a shard is answered while it moves: `shard_moves.ts "a node joins"`. Each shard of a cluster of
 * three nodes and one that comes or goes has a caller that calls again as soon as it is answered. The last line it
 * prints is JSON.
 */
import process from "node:process";
import { CatgaError, command, createMediator, handle, systemFault, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import type { Backend, Store, Transport } from "@catga/catga/ports";

const SHARDS = 32;
const PAUSE = 1;
/** How long callers go on once nothing moves any longer, in ms. */
const AFTER = 300;

const Add = command("add", {
  input: type<{ readonly key: string }>(),
  output: type<string>(),
  shard: { key: ({ key }) => key, count: SHARDS },
});
const backend = memory();
const crashed = new Set<string>();
const refused = (what: string): CatgaError =>
  new CatgaError(systemFault("UNAVAILABLE", `${what} is refused`));
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const changes: Readonly<Record<string, (other: Node | undefined) => unknown>> = {
  "a node joins": () => join("d"),
  "a node leaves": (other) => other!.leave(),
  "a node crashes": () => crashed.add("d"),
};

const [candidate = ""] = process.argv.slice(2);
const joins = candidate === "a node joins";
const nodes = await Promise.all(["a", "b", "c"].map(join));
const other = joins ? undefined : await join("d");
const [asked] = nodes as [Node];
await until(() => owners().every((id) => id !== undefined) && new Set(owners()).size === (joins ? 3 : 4));
await sleep(AFTER);
const before = owners();

let running = true;
const gaps: number[] = Array.from({ length: SHARDS }, () => 0);
const callers = keysOfShards().map(async (key, index) => {
  for (let answered = performance.now(); running;) {
    const result = await asked.send(Add({ key }));
    const now = performance.now();
    if (result.ok) {
      gaps[index] = Math.max(gaps[index]!, now - answered);
      answered = now;
    }
    await sleep(PAUSE);
  }
});
await sleep(AFTER);
gaps.fill(0);
await changes[candidate]!(other);
await until(() => {
  const after = owners();
  return joins ? after.includes("d") : after.every((id) => id !== undefined && id !== "d");
});
await sleep(joins ? 3 * AFTER : AFTER);
running = false;
await Promise.all(callers);

const after = owners();
const moved = gaps.filter((_, index) => before[index] !== after[index]).sort((a, b) => a - b);
const stayed = gaps.filter((_, index) => before[index] === after[index]);
if (moved.length === 0) throw new Error("nothing moved");
console.log(JSON.stringify({
  median: [moved[moved.length >> 1]],
  longest: [moved.at(-1)],
  stayed: [Math.max(...stayed)],
}));
process.exit(0);

function join(node: string): Promise<Node> {
  const mediator = createMediator({ handlers: [handle(Add, () => node)] });
  const options = { node, endpoint: `memory:${node}`, backend: mortal(backend), timing: "fast" } as const;
  return joinCluster(mediator, options);
}

function owners(): (string | undefined)[] {
  if (asked.inspect().shards.length === 0) void asked.send(Add({ key: "" }));
  return asked.inspect().shards.map(({ owner }) => owner);
}

/** A key for each shard. */
function keysOfShards(): string[] {
  const keys: string[] = [];
  for (let n = 0; Object.keys(keys).length < SHARDS; n++) {
    const { shard } = asked.explain(Add({ key: `k${n}` }));
    keys[shard!.index] ??= `k${n}`;
  }
  return keys;
}

/** A backend whose nodes can crash: then nobody reaches them, and they reach nobody. */
function mortal(backend: Backend): Backend {
  return {
    ...backend,
    open: (host) => {
      const { transport, store, ...rest } = backend.open(host);
      const { id } = host.self;
      return { ...rest, transport: cut(transport, id), store: cutOff(store!, id) };
    },
  };
}

function cut(transport: Transport, id: string): Transport {
  return {
    name: transport.name,
    serve: (self, receiver) => transport.serve(self, receiver),
    exchange: (peer, ...rest) =>
      crashed.has(id) || crashed.has(peer.id)
        ? Promise.reject(refused(peer.id))
        : transport.exchange(peer, ...rest),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

function cutOff(store: Store, id: string): Store {
  const ask = <T>(work: () => Promise<T>): Promise<T> =>
    crashed.has(id) ? Promise.reject(refused("the store")) : work();
  return {
    get: (...args) => ask(() => store.get(...args)),
    put: (...args) => ask(() => store.put(...args)),
    delete: (...args) => ask(() => store.delete(...args)),
    list: (...args) => ask(() => store.list(...args)),
    watch: (...args) => store.watch(...args),
  };
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error("this took too long");
    await sleep(5);
  }
}
