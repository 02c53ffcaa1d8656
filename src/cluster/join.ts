import { CatgaError, systemFault } from "../result.ts";
import { Engine, type Mediator } from "../mediator/mediator.ts";
import { json } from "../wire/json.ts";
import { Membership } from "./membership.ts";
import { ClusterNode } from "./node.ts";
import { isNodeName } from "./record.ts";
import { roundRobin } from "./routers/round_robin.ts";
import { readTiming } from "./timing.ts";
import { unkeptFault } from "./unavailable.ts";
import type { Storage } from "../ports/storage.ts";
import type { ClusterOptions, Node } from "./types.ts";

/**
 * Makes a mediator a node of a cluster. What is sent through the node is answered by whichever node serves it; the
 * calling code and the handlers stay as they were. Settles when the node has met the others, or has found nobody
 * there.
 *
 * Rejects with a `CatgaError` when an option cannot work, and `CONFLICT` when a contract asks for more than the
 * backend keeps.
 *
 * @example
 * ```ts
 * import { createMediator, handle, query, type } from "@catga/catga";
 * import { joinCluster } from "@catga/catga/cluster";
 * import { memory } from "@catga/catga/memory";
 *
 * const WhoAmI = query("who", { input: type<void>(), output: type<string>() });
 * const backend = memory();
 * const app = (name: string) => createMediator({ handlers: [handle(WhoAmI, () => name)] });
 * await using a = await joinCluster(app("a"), { node: "a", endpoint: "memory:a", backend });
 * await using b = await joinCluster(app("b"), { node: "b", endpoint: "memory:b", backend });
 * console.log(await a.send(WhoAmI()), await a.send(WhoAmI()));
 * ```
 */
export async function joinCluster(mediator: Mediator, options: ClusterOptions): Promise<Node> {
  if (!(mediator instanceof Engine)) {
    throw new TypeError(
      "Cannot join the cluster: the mediator was not made by createMediator of this package",
    );
  }
  const { node: id, endpoint, backend } = options;
  if (!isNodeName(id)) {
    throw new RangeError(`Cannot join as "${id}": a node's name has 1 to 64 of letters, digits, _ . : -`);
  }
  const timing = readTiming(options.timing ?? "default", id);
  const weight = options.weight ?? 1;
  if (!(weight > 0 && weight < Infinity)) {
    throw new RangeError(`Cannot join as "${id}": weight is ${weight}, but must be above 0`);
  }
  const born = Math.floor(mediator.runtime.clock.wall());
  const parts = backend.open({ self: { id, endpoint }, runtime: mediator.runtime });
  const membership = new Membership({
    id,
    endpoint,
    kind: options.kind ?? "process",
    incarnation: born,
    standing: born,
    // Where there is a store, it has to hold a lease there first.
    fit: parts.store === undefined,
    revision: 0,
    seq: 0,
    status: "joining",
    contracts: mediator.contracts.map((contract) => contract.type),
    load: 0,
    lag: 0,
    cpu: undefined,
    memory: undefined,
    tags: options.tags ?? {},
    zone: options.zone,
    version: options.version,
    weight,
  }, timing);
  try {
    const unkept = options.unsafe === true ? undefined : lackOf(backend.name, parts);
    if (unkept !== undefined) refuseAsking(mediator, backend.name, parts, unkept);
    const node = new ClusterNode({
      engine: mediator,
      membership,
      backend: parts,
      codec: options.codec ?? json,
      router: options.router ?? roundRobin(),
      behaviors: options.behaviors ?? [],
      attempts: options.attempts ?? 3,
      callTimeout: options.callTimeout ?? 30_000,
      drain: options.drain ?? 8000,
      capacity: options.capacity,
      guard: options.guard,
      hotKeys: options.hotKeys,
      cache: options.cache,
      shards: options.shards,
      service: options.service,
      deliveries: options.deliveries,
      unkept,
    });
    await node.join();
    return node;
  } catch (thrown) {
    await parts.transport[Symbol.asyncDispose]();
    throw thrown;
  }
}

/** Why reliable events would be lost; `undefined` if they are kept. */
function lackOf(name: string, { durability, store, queue }: Storage): string | undefined {
  if (durability === "none") return `${name} keeps nothing`;
  if (queue === undefined) return `${name} has no queue`;
  return store === undefined ? `${name} has no store` : undefined;
}

/** Throws `CONFLICT` where something that is handled here asks for more than the backend keeps. */
function refuseAsking(mediator: Engine, name: string, { store }: Storage, unkept: string): void {
  const [command] = mediator.unkept;
  if (command !== undefined && store === undefined) {
    const message =
      `Cannot join: "${command.type}" has idempotency, but ${name} has no store to keep its answers; ` +
      "choose a backend with one, or give the mediator the behavior idempotent({ store })";
    throw new CatgaError(systemFault("CONFLICT", message));
  }
  const asking = mediator.contracts.find((contract) => contract.kind === "reliable");
  if (asking !== undefined) throw new CatgaError(unkeptFault(`Cannot join: "${asking.type}"`, unkept));
}
