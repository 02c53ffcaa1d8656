/** Traces, replays and what a failure says. */

import { describe, expect, test } from "bun:test";
import {
  createSimulation,
  injectFaults,
  simulate,
  type Simulation,
  SimulationError,
} from "@catga/catga/testing";
import { echo, open, peer } from "./pair.ts";

/** Three nodes call each other without end while things go wrong; fails where a reply is older than 5 s. */
async function gossip(simulation: Simulation): Promise<string> {
  const network = simulation.network({ loss: 0.05 });
  const nodes = ["a", "b", "c"];
  const start = (node: string): void => {
    const runtime = simulation.runtime(node);
    const transport = open(network, runtime, node);
    void transport.serve(peer(node), echo);
    const talk = (): void => {
      runtime.clock.timer(50, talk);
      const sent = simulation.time;
      const other = nodes[runtime.random.u32() % 3]!;
      transport.exchange(peer(other), `${sent}`, () => {
        if (simulation.time - sent > 5000) throw new Error(`a reply took ${simulation.time - sent} ms`);
      }).catch((error: Error) => error.message.includes("could not be taken") && simulation.note("late"));
    };
    talk();
  };
  nodes.forEach(start);
  injectFaults(simulation, { network, nodes, ms: 10_000, restart: start });
  await simulation.run(12_000);
  if (simulation.trace.entries().some(({ text }) => text === "late")) throw new Error("a reply was late");
  return simulation.trace.hash;
}

describe("a seed", () => {
  test("gives the same run, and another seed another", async () => {
    const hashes: string[] = [];
    for (const seed of [1, 2, 1, 2]) {
      hashes.push(await gossip(createSimulation({ seed })).catch(() => "failed"));
    }
    expect(hashes.slice(0, 2)).toEqual(hashes.slice(2));
    expect(hashes[0]).not.toBe(hashes[1]);
  });

  test("that fails is printed, and replays to the same trace", async () => {
    const options = { keep: 100_000, replay: (seed: number) => `SEED=${seed} bun test` };
    const errors: SimulationError[] = [];
    for (let seed = 1; seed <= 50 && errors.length === 0; seed++) {
      await simulate({ seed, ...options }, gossip).catch((error) => errors.push(error));
    }
    const [error] = errors;
    expect(error).toBeInstanceOf(SimulationError);
    const lines = error!.message.split("\n");
    expect(lines[0]).toMatch(/^Seed \d+ failed after \d+\.\d{3} ms: a reply was late$/);
    expect(lines[1]).toBe(`Replay: SEED=${error!.seed} bun test`);
    expect(lines[2]).toMatch(/^The last 50 of \d+ entries of its trace, [0-9a-f]{16}:$/);
    const printed = Number(/SEED=(\d+)/.exec(error!.message)![1]);
    const again: SimulationError[] = [];
    await simulate({ seed: printed, ...options }, gossip).catch((thrown) => again.push(thrown));
    expect(again[0]).toMatchObject({ seed: printed, hash: error!.hash, message: error!.message });
    expect(again[0]!.trace).toEqual(error!.trace);
  });

  test("fails as itself when the scenario throws something odd", async () => {
    const thrown = await simulate({ seed: 3 }, () => Promise.reject("odd")).catch((error) =>
      error as SimulationError
    );
    expect(thrown).toMatchObject({ name: "SimulationError", seed: 3, cause: "odd" });
    expect((thrown as SimulationError).message).toContain("give the scenario the seed 3");
  });
});

describe("a trace", () => {
  test("keeps the last entries, and a hash of all", () => {
    const texts = (from: number, keep: number): [string, string[], number] => {
      const simulation = createSimulation({ seed: 1, keep });
      const { trace } = simulation;
      for (let count = from; count < from + 5; count++) simulation.note(String(count));
      return [trace.hash, trace.entries().map(({ text }) => text), trace.count];
    };
    expect(texts(0, 3)[1]).toEqual(["2", "3", "4"]);
    expect(texts(0, 9)[1]).toEqual(["0", "1", "2", "3", "4"]);
    expect(texts(0, 0)[1]).toEqual([]);
    expect(texts(0, 3)[0]).toBe(texts(0, 0)[0]);
    expect(texts(0, 3)[0]).not.toBe(texts(1, 3)[0]);
    expect(texts(0, 3)[2]).toBe(5);
  });

  test("tells what happened as lines", async () => {
    const simulation = createSimulation({ seed: 1 });
    simulation.runtime("a").clock.timer(1.5, () => {});
    await simulation.run(2);
    simulation.crash("a");
    expect(simulation.trace.lines()).toEqual([
      "     0.000 ms  start   a (1)",
      "     1.500 ms  timer   a",
      "     2.000 ms  crash   a (1)",
    ]);
    expect(simulation.trace.lines(1)).toHaveLength(1);
    expect(simulation.trace.lines(0)).toEqual([]);
  });
});
