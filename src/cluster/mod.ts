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
export type { GuardedNode, GuardOptions } from "./guard.ts";
export type { HotKey, HotKeyEvent, HotKeyOptions } from "./hot_keys.ts";
export { joinCluster } from "./join.ts";
export type { Explanation, Inspection, TargetState } from "./inspect.ts";
export type { Leader } from "./leader.ts";
export { leaderOnly } from "./routers/leader_only.ts";
export type { LeaderTask } from "./singletons.ts";
export { localFirst } from "./routers/local_first.ts";
export { roundRobin } from "./routers/round_robin.ts";
export type * from "./types.ts";
