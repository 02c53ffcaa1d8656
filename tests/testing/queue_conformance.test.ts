/** The queue of a simulation is a queue like any other. */

import { describe, test } from "bun:test";
import {
  createSimulation,
  queueConformance,
  type QueueUnderTest,
  simulatedQueue,
  type SimulatedQueueOptions,
} from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

const DRIFT = 0.001;

/** Lets virtual time run on for as long as a check waits for it. */
function underTest(options: SimulatedQueueOptions = {}): QueueUnderTest {
  const simulation = createSimulation({ seed: 1, ...(drain === undefined ? {} : { drain }) });
  const server = simulatedQueue(simulation, { latency: [0.01, 0.2], drift: DRIFT, ...options });
  const [queue, other] = ["a", "b"].map((node) => server.open(simulation.runtime(node)));
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
  let open = true;
  let until = 0;
  const pump = (async () => {
    while (open) {
      await simulation.run(Math.max(until - simulation.time, 0.5));
      await turn();
    }
  })();
  return {
    queue: queue!,
    other: other!,
    pass: async (ms) => {
      const end = simulation.time + ms / (1 + DRIFT);
      until = Math.max(until, end);
      while (open && simulation.time < end) await turn();
    },
    close: () => {
      open = false;
      return pump;
    },
  };
}

describe("the simulated queue is a queue", () => {
  const checks = queueConformance(() => Promise.resolve(underTest()), {
    virtual: true,
    small: () => Promise.resolve(underTest({ items: 100 })),
  });
  for (const { name, run } of checks) test(name, run);
});
