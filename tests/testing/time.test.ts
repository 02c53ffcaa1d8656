/** Virtual time: order, clocks, crashes and pauses. */

import { describe, expect, test } from "bun:test";
import { createSimulation, type Simulation } from "@catga/catga/testing";

function ring(simulation: Simulation, node: string, times: readonly number[], heard: string[]): void {
  const { clock } = simulation.runtime(node);
  for (const ms of times) clock.timer(ms, () => void heard.push(`${node}${ms}`));
}

describe("timers", () => {
  test("run in order, at their time, and not before", async () => {
    const simulation = createSimulation({ seed: 1 });
    const heard: string[] = [];
    ring(simulation, "a", [30, 10, 20], heard);
    await simulation.run(20);
    expect(heard).toEqual(["a10", "a20"]);
    await simulation.run(1_000_000);
    expect(heard).toEqual(["a10", "a20", "a30"]);
    expect(simulation.time).toBe(1_000_020);
  });

  test("of one time run in an order that the seed decides", async () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const simulation = createSimulation({ seed });
      const heard: string[] = [];
      for (const node of ["a", "b", "c"]) ring(simulation, node, [5], heard);
      await simulation.run(5);
      orders.add(heard.join());
    }
    expect(orders.size).toBe(6);
  });

  test("that were called off do not run, and are not counted", async () => {
    const simulation = createSimulation({ seed: 1 });
    const { clock } = simulation.runtime("a");
    let ran = 0;
    const stops = Array.from({ length: 500 }, (_, i) => clock.timer(i, () => void ran++));
    for (const stop of stops.slice(0, 499)) stop();
    stops[0]!();
    expect(simulation.pending().timers).toBe(1);
    await simulation.run(1000);
    expect(ran).toBe(1);
    expect(simulation.pending().timers).toBe(0);
  });

  test("all microtasks of one run before the next", async () => {
    const simulation = createSimulation({ seed: 1 });
    const { clock } = simulation.runtime("a");
    const heard: string[] = [];
    clock.timer(1, async () => {
      for (let i = 0; i < 50; i++) await undefined;
      heard.push("slow");
    });
    clock.timer(1.001, () => void heard.push("next"));
    await simulation.run(2);
    expect(heard).toEqual(["slow", "next"]);
  });

  test("what one throws ends the run", async () => {
    const simulation = createSimulation({ seed: 1 });
    simulation.runtime("a").clock.timer(1, () => {
      throw new Error("on purpose");
    });
    await expect(simulation.run(2)).rejects.toThrow("on purpose");
    await simulation.run(2);
  });

  test("a simulation cannot be run twice at once", async () => {
    const simulation = createSimulation({ seed: 1 });
    const first = simulation.run(5);
    await expect(simulation.run(5)).rejects.toThrow("running already");
    await first;
  });

  test("until() stops at the event that makes the condition hold", async () => {
    const simulation = createSimulation({ seed: 1 });
    const heard: string[] = [];
    ring(simulation, "a", [10, 20], heard);
    expect(await simulation.until(() => heard.length === 1, 100)).toBe(true);
    expect(simulation.time).toBe(10);
    expect(await simulation.until(() => heard.length === 3, 100)).toBe(false);
    expect(simulation.time).toBe(110);
  });
});

describe("clocks", () => {
  test("drift and are off, each node's in its own way, and a timer is never early by its own", async () => {
    const simulation = createSimulation({ seed: 4, skew: 1000, drift: 0.01, lateness: 4, start: 1_000_000 });
    const walls = new Set<number>();
    for (const node of ["a", "b", "c", "d"]) {
      const { clock } = simulation.runtime(node);
      walls.add(clock.wall());
      expect(Math.abs(clock.wall() - 1_000_000)).toBeLessThanOrEqual(1000);
      for (const ms of [0, 0.1, 1 / 3, 7, 1000.7]) {
        const began = clock.mono();
        const due = began + ms;
        clock.timer(ms, () => {
          expect(clock.mono()).toBeGreaterThanOrEqual(due);
          expect(clock.mono()).toBeLessThan(due + 4.1);
        });
      }
    }
    await simulation.run(2000);
    expect(walls.size).toBe(4);
    expect(simulation.pending().timers).toBe(0);
  });

  test("waiting for the rest of a deadline comes to an end", async () => {
    const simulation = createSimulation({ seed: 9, drift: 0.003 });
    const { clock } = simulation.runtime("a");
    const deadline = clock.mono() + 1234.567;
    let turns = 0;
    const wait = (): void => {
      turns++;
      if (clock.mono() < deadline) clock.timer(deadline - clock.mono(), wait);
    };
    wait();
    await simulation.run(2000);
    expect(clock.mono()).toBeGreaterThan(deadline);
    expect(turns).toBeLessThan(4);
  });

  test("wall() is whole ms, as Date.now() is", async () => {
    const simulation = createSimulation({ seed: 9, drift: 0.003, skew: 50 });
    const { clock } = simulation.runtime("a");
    await simulation.run(12.345);
    expect(Number.isSafeInteger(clock.wall())).toBe(true);
  });
});

describe("clocks that are set", () => {
  test("wall clocks jump forwards and backwards, and nothing else notices", async () => {
    const simulation = createSimulation({ seed: 1, start: 1_000_000 });
    const { clock } = simulation.runtime("a");
    const heard: string[] = [];
    ring(simulation, "a", [150], heard);
    await simulation.run(100);
    const before = clock.mono();
    simulation.setClock("a", { skew: 3_600_000 });
    expect([clock.wall(), clock.mono()]).toEqual([4_600_100, before]);
    simulation.setClock("a", { skew: -3_600_000 });
    expect(clock.wall()).toBe(-2_599_900);
    await simulation.run(49);
    expect(heard).toEqual([]);
    await simulation.run(1);
    expect([heard, clock.wall(), clock.mono()]).toEqual([["a150"], -2_599_850, before + 50]);
  });

  test("clocks go at another pace from now on, and timers come neither early nor late by them", async () => {
    for (const drift of [0.01, -0.01]) {
      const simulation = createSimulation({ seed: 3, start: 0, drift: 0.002 });
      const { clock } = simulation.runtime("a");
      const rang: number[] = [];
      const began = clock.mono();
      for (const ms of [500, 1000, 100_000]) clock.timer(ms, () => void rang.push(clock.mono() - began - ms));
      const stop = clock.timer(2000, () => void rang.push(NaN));
      await simulation.run(700);
      const [mono, wall] = [clock.mono(), clock.wall()];
      simulation.setClock("a", { drift });
      expect([clock.mono(), clock.wall()]).toEqual([mono, wall]);
      await simulation.run(1000);
      expect(Math.abs(clock.mono() - mono - 1000 * (1 + drift))).toBeLessThan(0.001);
      expect(Math.abs(clock.wall() - wall - 1000 * (1 + drift))).toBeLessThan(1.1);
      stop();
      await simulation.run(105_000);
      expect(rang).toHaveLength(3);
      expect(Math.min(...rang)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...rang)).toBeLessThan(0.01);
      expect(simulation.pending().timers).toBe(0);
    }
  });

  test("a machine keeps its clocks over a crash, and they can be set while its node is down", async () => {
    const simulation = createSimulation({ seed: 1, start: 0 });
    simulation.runtime("a");
    simulation.setClock("a", { skew: 1000, drift: 0.01 });
    simulation.crash("a");
    await simulation.run(1000);
    expect(simulation.restart("a").clock.wall()).toBe(2010);
    simulation.crash("a");
    simulation.setClock("a", { skew: 0 });
    const { clock } = simulation.restart("a");
    const before = clock.mono();
    await simulation.run(1000);
    expect([clock.wall(), Math.round(clock.mono() - before)]).toEqual([2010, 1010]);
  });

  test("what a pause held back keeps its order when the clock is set meanwhile", async () => {
    const simulation = createSimulation({ seed: 1 });
    const heard: string[] = [];
    ring(simulation, "a", [5, 10, 100], heard);
    simulation.pause("a");
    await simulation.run(50);
    simulation.setClock("a", { drift: 0.01 });
    simulation.resume("a");
    await simulation.run(0);
    expect(heard).toEqual(["a5", "a10"]);
    await simulation.run(50);
    expect(heard).toEqual(["a5", "a10", "a100"]);
  });

  test("what cannot be set is refused", () => {
    const simulation = createSimulation({ seed: 1 });
    simulation.runtime("a");
    expect(() => simulation.setClock("b", { skew: 1 })).toThrow("no such node");
    for (const drift of [-1, NaN, Infinity]) {
      expect(() => simulation.setClock("a", { drift })).toThrow("drift is");
    }
  });
});

describe("nodes", () => {
  test("a crash takes the timers of that life with it, and a new life has none", async () => {
    const simulation = createSimulation({ seed: 1 });
    const heard: string[] = [];
    ring(simulation, "a", [10], heard);
    ring(simulation, "b", [10], heard);
    const before = simulation.runtime("a");
    simulation.crash("a");
    before.clock.timer(1, () => void heard.push("dead"));
    expect(simulation.alive("a")).toBe(false);
    const after = simulation.restart("a");
    expect(after).not.toBe(before);
    expect(simulation.runtime("a")).toBe(after);
    expect(() => simulation.restart("a")).toThrow("it is alive");
    expect(simulation.pending().timers).toBe(1);
    await simulation.run(20);
    expect(heard).toEqual(["b10"]);
  });

  test("a pause holds everything back; it happens late and in order", async () => {
    const simulation = createSimulation({ seed: 1 });
    const heard: string[] = [];
    ring(simulation, "a", [5, 10, 15, 100], heard);
    const stop = simulation.runtime("a").clock.timer(12, () => void heard.push("called off"));
    simulation.pause("a");
    await simulation.run(50);
    expect(heard).toEqual([]);
    stop();
    simulation.resume("a");
    await simulation.run(0);
    expect(heard).toEqual(["a5", "a10", "a15"]);
    await simulation.run(50);
    expect(heard).toEqual(["a5", "a10", "a15", "a100"]);
    expect(simulation.pending().timers).toBe(0);
  });

  test("a node that crashes while it stands still loses what was held back", async () => {
    const simulation = createSimulation({ seed: 1 });
    const heard: string[] = [];
    ring(simulation, "a", [5], heard);
    simulation.pause("a");
    await simulation.run(10);
    simulation.crash("a");
    simulation.restart("a");
    expect(simulation.paused("a")).toBe(false);
    await simulation.run(10);
    expect(heard).toEqual([]);
    expect(() => simulation.pause("nobody")).toThrow("no such node is alive");
  });
});
