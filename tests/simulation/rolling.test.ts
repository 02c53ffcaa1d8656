/** A rolling restart under load, without faults: nothing may be lost. */

import { describe, expect, test } from "bun:test";
import { command, createMediator, handle, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { simulate, type SimulatedNetwork, type Simulation } from "@catga/catga/testing";
import { drain } from "./drain.ts";

const Work = command("work", { input: type<{ takes: number }>(), output: type<string>() });
const names = ["a", "b", "c", "d", "e"];

class Fleet {
  readonly simulation: Simulation;
  readonly network: SimulatedNetwork;
  readonly nodes: Map<string, Node> = new Map();
  readonly failures: string[] = [];
  readonly starts: Map<string, number> = new Map();
  answered = 0;
  #count = 0;

  constructor(simulation: Simulation) {
    this.simulation = simulation;
    this.network = simulation.network({ latency: [0.2, 10] });
  }

  async start(name: string): Promise<void> {
    const runtime = this.simulation.runtime(name);
    const { clock } = runtime;
    const work = handle(Work, ({ takes }, { headers }) => {
      const id = headers["id"]!;
      this.starts.set(id, (this.starts.get(id) ?? 0) + 1);
      return new Promise((resolve) => void clock.timer(takes, () => resolve(name)));
    });
    const app = createMediator({ handlers: [work], runtime });
    const joined = joinCluster(app, { node: name, endpoint: `sim:${name}`, backend: this.network.backend });
    void joined.then((node) => this.nodes.set(name, node));
    await this.simulation.until(() => this.nodes.has(name), 5000);
  }

  /** Calls from every node that has not begun to leave, every few ms. */
  call(): void {
    for (const [name, node] of this.nodes) {
      const id = `${++this.#count}`;
      const takes = this.simulation.random.between(0, 200);
      void node.send(Work({ takes }), { headers: { id } }).then((result) => {
        this.answered++;
        if (!result.ok) this.failures.push(`${name} at ${this.simulation.time}: ${result.error.message}`);
      });
    }
    this.simulation.after(this.simulation.random.between(0, 40), () => this.call());
  }

  /** Leaves in good order, ends the process, and begins a new one. */
  async replace(name: string): Promise<void> {
    const node = this.nodes.get(name)!;
    this.nodes.delete(name);
    let left = false;
    void node.leave().then(() => left = true);
    expect(await this.simulation.until(() => left, 5000)).toBe(true);
    this.simulation.crash(name);
    await this.simulation.run(this.simulation.random.between(0, 2000));
    await this.start(name);
  }
}

describe("a rolling restart under load", () => {
  test("loses no call and starts none twice", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      await simulate({ seed, lateness: 4, ...(drain === undefined ? {} : { drain }) }, async (simulation) => {
        const fleet = new Fleet(simulation);
        for (const name of names) await fleet.start(name);
        await simulation.run(1500);
        fleet.call();
        for (const name of names) {
          await simulation.run(500);
          await fleet.replace(name);
        }
        await simulation.run(1000);
        expect(fleet.failures).toEqual([]);
        expect(fleet.answered).toBeGreaterThan(500);
        expect([...fleet.starts.values()].filter((starts) => starts > 1)).toEqual([]);
      });
    }
  }, 60_000);
});
