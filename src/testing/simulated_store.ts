import type { Entry, Store } from "../ports/store.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Simulation } from "./simulation_types.ts";
import { StoreServer } from "./store_server.ts";
import { World } from "./world.ts";

/** How a simulated store fares. Rates go from 0, never, to 1, always. */
export interface StoreConditions {
  /** How long each way to it and back takes, in ms: the least and the most. */
  readonly latency: readonly [least: number, most: number];
  /** How often a request is refused before anything was done: `UNAVAILABLE`. */
  readonly refused: number;
  /** How often a request is lost on its way: `TRANSPORT`, after `silence`. */
  readonly lost: number;
  /** How often an answer is lost: what was asked for is done, and the caller gets `TRANSPORT` after `silence`. */
  readonly unanswered: number;
  /** How often a request takes as long as `slowLatency` says, also longer than its caller waits. */
  readonly slow: number;
  /** How long a slow request takes, in ms: the least and the most. */
  readonly slowLatency: readonly [least: number, most: number];
  /** How long a caller waits for what was lost before it hears `TRANSPORT`, in ms: the least and the most. */
  readonly silence: readonly [least: number, most: number];
  /** How often a change does not reach a watch, which then breaks off after `silence`. */
  readonly broken: number;
}

/**
 * What a simulated store begins with.
 *
 * Left out: `latency` is [0.2, 2], `slowLatency` is [500, 6000], `silence` is [500, 3000], all rates are 0, and its
 * clock does not drift.
 */
export interface SimulatedStoreOptions extends Partial<StoreConditions> {
  /** How much faster than virtual time its clock goes: 0.001 is 1 ms more each second. @default 0 */
  readonly drift?: number;
}

/** A store that the nodes of a simulation share and that outlives them, and everything that can go wrong on the way to it. */
export interface SimulatedStore {
  /** A node's way to it, for one life of that node: its runtime says which. */
  open(runtime: Runtime): Store;
  /** Changes how requests fare from now on. */
  change(conditions: Partial<StoreConditions>): void;
  /** Loses all between a node and the store from now on, in both directions. */
  cut(node: string): void;
  /** Undoes a cut. */
  mend(node: string): void;
  /** Undoes all cuts, and sets all rates to 0. */
  heal(): void;
  /** What is kept just now, without any way there: for a test to look at. */
  entries(): readonly Entry[];
}

/**
 * Makes a store with a clock of its own for a simulation.
 *
 * @example
 * ```ts
 * import { createSimulation, simulatedStore } from "@catga/catga/testing";
 * const simulation = createSimulation({ seed: 1 });
 * const store = simulatedStore(simulation, { unanswered: 0.5 });
 * void store.open(simulation.runtime("a")).put("color", "red").then(console.log, console.log);
 * await simulation.run(5000);
 * console.log(store.entries());
 * ```
 */
export function simulatedStore(simulation: Simulation, options: SimulatedStoreOptions = {}): SimulatedStore {
  if (!(simulation instanceof World)) {
    throw new RangeError("Cannot make a store: the simulation must come from createSimulation or simulate");
  }
  return new StoreServer(simulation, options, simulation.random.fork("store"));
}
