import type { EventStore, StoredEvent } from "../ports/event_store.ts";
import type { Runtime } from "../ports/runtime.ts";
import { EventStoreServer } from "./event_store_server.ts";
import type { StoreConditions } from "./simulated_store.ts";
import type { Simulation } from "./simulation_types.ts";
import { World } from "./world.ts";

/** How a simulated event store fares. Rates go from 0, never, to 1, always. */
export interface EventStoreConditions extends Omit<StoreConditions, "broken"> {
  /** How often a read answers fewer events than it might, but one at least where there are any. */
  readonly short: number;
}

/**
 * What a simulated event store begins with.
 *
 * Left out: `latency` is [0.2, 2], `slowLatency` is [500, 6000], `silence` is [500, 3000], all rates are 0, and its
 * clock does not drift.
 */
export interface SimulatedEventStoreOptions extends Partial<EventStoreConditions> {
  /** How much faster than virtual time its clock goes: 0.001 is 1 ms more each second. @default 0 */
  readonly drift?: number;
}

/** An event store that the nodes of a simulation share, and everything that can go wrong on the way to it. */
export interface SimulatedEventStore {
  /** A node's way to it, for one life of that node: its runtime says which. */
  open(runtime: Runtime): EventStore;
  /** Changes how requests fare from now on. */
  change(conditions: Partial<EventStoreConditions>): void;
  /** Loses all between a node and the store from now on, in both directions. */
  cut(node: string): void;
  /** Undoes a cut. */
  mend(node: string): void;
  /** Undoes all cuts, and sets all rates to 0. */
  heal(): void;
  /** All events that are kept just now, without any way there: for a test to look at. */
  events(): readonly StoredEvent[];
}

/**
 * Makes an event store with a clock of its own for a simulation.
 *
 * @example
 * ```ts
 * import { createSimulation, simulatedEventStore } from "@catga/catga/testing";
 * const simulation = createSimulation({ seed: 1 });
 * const store = simulatedEventStore(simulation, { unanswered: 0.5 });
 * const events = store.open(simulation.runtime("a"));
 * void events.append("cart/1", [{ id: "1", type: "opened", data: "{}" }]).then(console.log, console.log);
 * await simulation.run(5000);
 * console.log(store.events());
 * ```
 */
export function simulatedEventStore(
  simulation: Simulation,
  options: SimulatedEventStoreOptions = {},
): SimulatedEventStore {
  if (!(simulation instanceof World)) {
    throw new RangeError(
      "Cannot make an event store: the simulation must come from createSimulation or simulate",
    );
  }
  return new EventStoreServer(simulation, options, simulation.random.fork("event store"));
}
