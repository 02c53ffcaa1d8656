/**
 * A whole cluster in one process, in virtual time, from a seed: nodes that crash and stand still, networks that
 * lose, double and delay, and a trace that is the same whenever the seed is. With it this library is tested, and
 * what is built on it can be.
 *
 * @example
 * ```ts
 * import { createMediator, handle, query, type } from "@catga/catga";
 * import { joinCluster, type Node } from "@catga/catga/cluster";
 * import { simulate } from "@catga/catga/testing";
 *
 * const Double = query("double", { input: type<number>(), output: type<number>() });
 *
 * await simulate({ seed: 1 }, async (simulation) => {
 *   const network = simulation.network({ loss: 0.05 });
 *   const nodes: Node[] = [];
 *   for (const name of ["a", "b", "c"]) {
 *     const app = createMediator({ handlers: [handle(Double, (n) => n * 2)], runtime: simulation.runtime(name) });
 *     const joined = joinCluster(app, { node: name, endpoint: `sim:${name}`, backend: network.backend });
 *     void joined.then((node) => nodes.push(node));
 *   }
 *   await simulation.until(() => nodes.length === 3, 10_000);
 *
 *   let answer: unknown;
 *   void nodes[0]!.send(Double(21)).then((result) => answer = result);
 *   await simulation.run(30_000);
 *   console.log(answer, simulation.trace.hash);
 * });
 * ```
 *
 * @module
 */
export * from "./crash_point.ts";
export * from "./decider_scenario.ts";
export * from "./discovery_conformance.ts";
export * from "./drain.ts";
export * from "./event_store_conformance.ts";
export type { FaultKind, FaultOptions, FaultPlan } from "./fault_plan.ts";
export { FAULT_KINDS, injectFaults } from "./fault_plan.ts";
export type {
  LinkConditions,
  NetworkOptions,
  NetworkStats,
  OpenExchange,
  SimulatedNetwork,
} from "./network_types.ts";
export * from "./queue_conformance.ts";
export * from "./random.ts";
export * from "./recorder.ts";
export * from "./simulate.ts";
export * from "./simulated_event_store.ts";
export * from "./simulated_queue.ts";
export * from "./simulated_store.ts";
export type { ClockChange, Pending, Simulation, SimulationOptions } from "./simulation_types.ts";
export * from "./simulation.ts";
export * from "./store_conformance.ts";
export type { Trace, TraceEntry, TraceKind } from "./trace.ts";
export * from "./transport_conformance.ts";
