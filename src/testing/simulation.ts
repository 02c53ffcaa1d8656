import type { Simulation, SimulationOptions } from "./simulation_types.ts";
import { World } from "./world.ts";

/**
 * Makes a world in which time is virtual and every chance comes from the seed: the same seed gives the same run,
 * event by event, so that a failure can be looked at as often as one likes.
 *
 * @example
 * ```ts
 * import { createSimulation } from "@catga/catga/testing";
 * const simulation = createSimulation({ seed: 1 });
 * const { clock } = simulation.runtime("a");
 * clock.timer(60_000, () => console.log("a minute later"));
 * await simulation.run(60_000);
 * ```
 */
export function createSimulation(options: SimulationOptions): Simulation {
  if (!Number.isSafeInteger(options.seed)) {
    throw new RangeError(
      `Cannot simulate: the seed is ${options.seed}, but must be a whole number up to 2^53`,
    );
  }
  return new World(options);
}
