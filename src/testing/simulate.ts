import { createSimulation } from "./simulation.ts";
import type { Simulation, SimulationOptions } from "./simulation_types.ts";

/** What {@linkcode simulate} takes. */
export interface SimulateOptions extends SimulationOptions {
  /** The command that runs this scenario again with a seed, for the message of a failure. */
  readonly replay?: (seed: number) => string;
}

/** What a simulation failed with, and how to see it again. */
export class SimulationError extends Error {
  /** Always `SimulationError`. */
  override readonly name = "SimulationError";
  /** The seed that failed. */
  readonly seed: number;
  /** The trace's hash at the failure; a replay has the same. */
  readonly hash: string;
  /** The last entries of the trace, oldest first. */
  readonly trace: readonly string[];

  /** Says what failed, how to replay it, and what happened last. */
  constructor(simulation: Simulation, replay: string, thrown: unknown) {
    const { seed, time, trace } = simulation;
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const lines = trace.lines(50);
    super(
      [
        `Seed ${seed} failed after ${time.toFixed(3)} ms: ${why}`,
        `Replay: ${replay}`,
        `The last ${lines.length} of ${trace.count} entries of its trace, ${trace.hash}:`,
        ...lines,
      ].join("\n"),
      { cause: thrown },
    );
    this.seed = seed;
    this.hash = trace.hash;
    this.trace = lines;
  }
}

/**
 * Runs a scenario in a simulation. Rejects with a {@linkcode SimulationError} when the scenario throws: it names
 * the seed, says how to replay it and shows what happened last.
 *
 * @example
 * ```ts
 * import { simulate } from "@catga/catga/testing";
 * for (let seed = 1; seed <= 100; seed++) {
 *   await simulate({ seed, replay: (seed) => `SEED=${seed} deno test` }, async (simulation) => {
 *     const { clock } = simulation.runtime("a");
 *     let rang = false;
 *     clock.timer(simulation.random.between(0, 100), () => rang = true);
 *     await simulation.run(100);
 *     if (!rang) throw new Error("the timer did not run");
 *   });
 * }
 * ```
 */
export async function simulate<T>(
  options: SimulateOptions,
  scenario: (simulation: Simulation) => Promise<T>,
): Promise<T> {
  const { replay = (seed: number): string => `give the scenario the seed ${seed}` } = options;
  const simulation = createSimulation(options);
  try {
    return await scenario(simulation);
  } catch (thrown) {
    throw new SimulationError(simulation, replay(options.seed), thrown);
  }
}
