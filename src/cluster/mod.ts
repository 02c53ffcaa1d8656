/**
 * Nodes: the same mediator, answered by whichever process serves a message.
 *
 * @example
 * ```ts
 * import { command, createMediator, handle, type } from "@catga/catga";
 * import { joinCluster } from "@catga/catga/cluster";
 * import { memory } from "@catga/catga/memory";
 *
 * const Greet = command("greet", { input: type<string>(), output: type<string>() });
 * const app = createMediator({ handlers: [handle(Greet, (name) => `Hello ${name}`)] });
 * await using node = await joinCluster(app, { node: "a", endpoint: "memory:a", backend: memory() });
 * console.log(await node.send(Greet("Ada")));
 * ```
 *
 * @module
 */
export type { Capacity } from "./admission.ts";
export type { GuardedNode, GuardOptions } from "./guard_types.ts";
export type { HotKey, HotKeyEvent, HotKeyOptions, HotKeyResponse } from "./hot_keys.ts";
export type { QueryCacheCounts, QueryCacheOptions, QueryCacheStats } from "./cache_types.ts";
export { joinCluster } from "./join.ts";
export type { Explanation, Inspection, RingShare, TargetState } from "./inspect.ts";
export type { Leader } from "./leader.ts";
export { leaderOnly } from "./routers/leader_only.ts";
export type { LeaderTask } from "./singletons.ts";
export type { Chance } from "./balancers/draw.ts";
export { leastConnections } from "./balancers/least_connections.ts";
export type { LoadRuntime, LoadWeights } from "./balancers/least_load.ts";
export { leastLoad } from "./balancers/least_load.ts";
export { powerOfTwo } from "./balancers/power_of_two.ts";
export { random } from "./balancers/random.ts";
export type { ConsistentHashOptions } from "./routers/consistent_hash.ts";
export { consistentHash } from "./routers/consistent_hash.ts";
export { firstOf } from "./routers/first_of.ts";
export { localFirst } from "./routers/local_first.ts";
export { roundRobin } from "./routers/round_robin.ts";
export { tagged } from "./routers/tagged.ts";
export { toNode } from "./routers/to_node.ts";
export { weightedRoundRobin } from "./routers/weighted_round_robin.ts";
export { zoneFirst } from "./routers/zone_first.ts";
export type { ShardMovedEvent, ShardOptions, ShardState } from "./shards/shard_types.ts";
export type { Settings, SettingsSpec, SettingsVersion } from "./settings.ts";
export type { ConsumerStats } from "../durable/consumer.ts";
export type { DeliveryOptions } from "./delivery_options.ts";
export type * from "./health_types.ts";
export type * from "./types.ts";
