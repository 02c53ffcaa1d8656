import type { Queue } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import { QueueServer } from "./queue_server.ts";
import type { StoreConditions } from "./simulated_store.ts";
import type { Simulation } from "./simulation_types.ts";
import { World } from "./world.ts";

/** How a simulated queue fares; as with a simulated store, but that nothing is watched. */
export type QueueConditions = Omit<StoreConditions, "broken">;

/**
 * What a simulated queue begins with.
 *
 * Left out: `latency` is [0.2, 2], `slowLatency` is [500, 6000], `silence` is [500, 3000], all rates are 0, its clock does
 * not drift, and it takes 100,000 items and remembers names for a day.
 */
export interface SimulatedQueueOptions extends Partial<QueueConditions> {
  /** How much faster than virtual time its clock goes: 0.001 is 1 ms more each second. @default 0 */
  readonly drift?: number;
  /** How many items it takes, counted once for each group that has them. @default 100000 */
  readonly items?: number;
  /** How long the name of an item is remembered, in ms. @default 86400000 (a day) */
  readonly window?: number;
}

/** An item that a group has not acknowledged. */
export interface PendingItem {
  /** What it was pushed to. */
  readonly topic: string;
  /** Who has it still to do. */
  readonly group: string;
  /** Its name. */
  readonly id: string;
  /** Its key. */
  readonly key: string | undefined;
  /** How often it was handed out. */
  readonly attempt: number;
}

/** A queue that the nodes of a simulation share, and everything that can go wrong on the way to it. */
export interface SimulatedQueue {
  /**
   * A node's way to it, for one life of that node: its runtime says which. The queue does not hear of a crash: who
   * crashed while it waited for an item may get one yet, until its wait is over.
   */
  open(runtime: Runtime): Queue;
  /** Changes how requests fare from now on. */
  change(conditions: Partial<QueueConditions>): void;
  /** Loses all between a node and the queue from now on, in both directions. */
  cut(node: string): void;
  /** Undoes a cut. */
  mend(node: string): void;
  /** Undoes all cuts, and sets all rates to 0. */
  heal(): void;
  /** What is not done with just now, without any way there: for a test to look at. */
  pending(): readonly PendingItem[];
}

/**
 * Makes a queue with a clock of its own for a simulation.
 *
 * @example
 * ```ts
 * import { createSimulation, simulatedQueue } from "@catga/catga/testing";
 * const simulation = createSimulation({ seed: 1 });
 * const server = simulatedQueue(simulation, { unanswered: 0.5 });
 * const queue = server.open(simulation.runtime("a"));
 * void queue.subscribe("orders", "billing").then(() => queue.push("orders", [{ id: "1", payload: "two apples" }])).catch(
 *   (error) => console.log(error.code),
 * );
 * await simulation.run(5000);
 * console.log(server.pending());
 * ```
 */
export function simulatedQueue(simulation: Simulation, options: SimulatedQueueOptions = {}): SimulatedQueue {
  if (!(simulation instanceof World)) {
    throw new RangeError("Cannot make a queue: the simulation must come from createSimulation or simulate");
  }
  return new QueueServer(simulation, options, simulation.random.fork("queue"));
}
