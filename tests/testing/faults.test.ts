/** Swarms of faults: which, how often, and that they end. */

import { describe, expect, test } from "bun:test";
import {
  createSimulation,
  FAULT_KINDS,
  type FaultKind,
  type FaultPlan,
  injectFaults,
} from "@catga/catga/testing";

/** What wall clocks without skew show at the beginning, in ms. */
const START = 1_767_225_600_000;
const nodes = ["a", "b", "c", "d"];

interface Outcome {
  readonly plan: FaultPlan;
  readonly kinds: ReadonlySet<string>;
  readonly restarted: number;
  readonly whole: boolean;
  readonly text: string;
}

async function run(seed: number, kinds?: readonly FaultKind[]): Promise<Outcome> {
  const simulation = createSimulation({ seed, keep: 10_000, skew: 3_600_000, drift: 0.01 });
  const network = simulation.network();
  for (const node of nodes) simulation.runtime(node);
  let restarted = 0;
  const restart = (node: string): void => {
    restarted++;
    simulation.restart(node);
  };
  const plan = injectFaults(simulation, { network, nodes, ms: 10_000, restart, ...(kinds && { kinds }) });
  await simulation.run(10_000);
  const whole = nodes.every((node) => simulation.alive(node) && !simulation.paused(node));
  const entries = simulation.trace.entries();
  const seen = entries.map(({ kind, text }) => kind === "network" ? text.split(" ")[0]! : kind);
  return {
    plan,
    kinds: new Set(seen),
    restarted,
    whole,
    text: simulation.trace.lines().join("\n"),
  };
}

describe("faults", () => {
  test("differ from seed to seed, each kind comes about every other time, and all end", async () => {
    const times = new Map<FaultKind, number>();
    const together = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const { plan, whole, kinds } = await run(seed);
      const enabled = Object.keys(plan) as FaultKind[];
      for (const kind of enabled) times.set(kind, (times.get(kind) ?? 0) + 1);
      together.add(enabled.join());
      expect(whole).toBe(true);
      if (plan.crash !== undefined) expect(kinds.has("crash")).toBe(true);
      if (plan.cut !== undefined) expect(kinds.has("cut")).toBe(true);
      if (plan.jump !== undefined || plan.drift !== undefined) expect(kinds.has("clock")).toBe(true);
      if (plan.pause !== undefined && plan.crash === undefined) expect(kinds.has("pause")).toBe(true);
    }
    expect(together.size).toBeGreaterThan(60);
    for (const kind of FAULT_KINDS) {
      expect(times.get(kind)).toBeGreaterThan(30);
      expect(times.get(kind)).toBeLessThan(70);
    }
  });

  test("are the same for the same seed", async () => {
    expect((await run(7)).text).toBe((await run(7)).text);
  });

  test("can be left out one by one without changing the others", async () => {
    const all = await run(5);
    for (const left of FAULT_KINDS) {
      const { plan } = await run(5, FAULT_KINDS.filter((kind) => kind !== left));
      const expected = { ...all.plan };
      delete expected[left];
      expect(plan).toEqual(expected);
    }
  });

  test("without a way to restart no node crashes", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const simulation = createSimulation({ seed });
      const plan = injectFaults(simulation, { network: simulation.network(), nodes, ms: 1000 });
      expect(plan.crash).toBe(undefined);
      await simulation.run(1000);
    }
  });

  test("of clocks need clocks that may be wrong", async () => {
    const plans = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const simulation = createSimulation({ seed, drift: 0.01 });
      for (const node of nodes) simulation.runtime(node);
      const plan = injectFaults(simulation, { network: simulation.network(), nodes, ms: 1000 });
      for (const kind of Object.keys(plan)) plans.add(kind);
      await simulation.run(1000);
    }
    expect([plans.has("jump"), plans.has("drift")]).toEqual([false, true]);
  });

  test("make wall clocks jump far both ways, and clocks go faster and slower", async () => {
    let [forwards, backwards, changes] = [0, 0, 0];
    for (let seed = 0; seed < 20; seed++) {
      const simulation = createSimulation({ seed, skew: 3_600_000, drift: 0.01 });
      const { clock } = simulation.runtime("a");
      const kinds = ["jump", "drift"] as const;
      const plan = injectFaults(simulation, {
        network: simulation.network(),
        nodes: ["a"],
        ms: 10_000,
        kinds,
      });
      for (let last = { mono: clock.mono(), wall: clock.wall() }; simulation.time < 10_000;) {
        await simulation.run(100);
        const now = { mono: clock.mono(), wall: clock.wall() };
        expect(Math.abs(now.wall - simulation.time - START)).toBeLessThan(3_600_000 + 200);
        const [passed, jump] = [now.mono - last.mono, now.wall - last.wall - (now.mono - last.mono)];
        expect(Math.abs(passed - 100)).toBeLessThanOrEqual(1.0001);
        if (jump > 600_000) forwards++;
        if (jump < -600_000) backwards++;
        last = now;
      }
      if (plan.drift !== undefined) changes++;
    }
    expect(Math.min(forwards, backwards, changes)).toBeGreaterThan(5);
  });

  test("bring every crashed node back", async () => {
    let crashes = 0;
    for (let seed = 0; seed < 30; seed++) {
      const { restarted, whole } = await run(seed, ["crash"]);
      crashes += restarted;
      expect(whole).toBe(true);
    }
    expect(crashes).toBeGreaterThan(15);
  });
});
