/** `SEED=7 bun test tests/simulation/membership.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { simulate } from "@catga/catga/testing";
import { drain } from "./drain.ts";
import { runMembership, Village } from "./membership_scenario.ts";

const chosen = process.env["SEED"];
const count = "Bun" in globalThis ? 300 : 60;
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);
const world = (seed: number) => ({ seed, lateness: 4, ...(drain === undefined ? {} : { drain }) });

describe("membership", () => {
  test(`is one view two seconds after the last fault, seeds ${seeds[0]} to ${seeds.at(-1)}`, async () => {
    for (const seed of seeds) await runMembership({ seed, drain });
  }, 120_000);

  test("accuses nobody where nothing goes wrong but clocks", async () => {
    let times = 0;
    for (const seed of seeds) {
      const plan = await runMembership({ seed, drain, kinds: ["jump", "drift"] });
      times += (plan.jump ?? 0) + (plan.drift ?? 0);
    }
    if (chosen === undefined) expect(times).toBeGreaterThan(3 * seeds.length);
  }, 120_000);

  test("takes a node that comes back with its clock set back for what it is now", async () => {
    for (
      const [jump, leaves] of [[-3_600_000, false], [-3_600_000, true], [0, false], [-1, false]] as const
    ) {
      await simulate({ ...world(1), skew: 0 }, async (simulation) => {
        const names = ["a", "b", "c"];
        const village = new Village(simulation, { latency: [0.2, 5] }, "fast");
        for (const name of names) village.start(name);
        expect(await village.until(() => village.agreed(names), 5000)).toBe(true);
        // Others remember the last word of its life before: that it was about to leave.
        if (leaves) void village.nodes.get("c")!.leave();
        await village.until(() => leaves && village.nodes.get("a")!.members()[2]?.status === "draining", 200);
        simulation.crash("c");
        await village.run(50);
        // As far as it has come since, so that it begins in the very ms it began before.
        simulation.setClock("c", { skew: jump === 0 ? -simulation.time : jump });
        village.start("c");
        expect(await village.until(() => village.agreed(names), 2000)).toBe(true);
      });
    }
  }, 60_000);

  test("declares no healthy node dead in ten minutes of 5 % loss and pauses of 400 ms", async () => {
    await simulate(world(1), async (simulation) => {
      const names = ["a", "b", "c", "d", "e"];
      const village = new Village(simulation, { latency: [0.2, 5], loss: 0.05 }, "fast");
      for (const name of names) village.start(name);
      const { random } = simulation;
      const stumble = (): void => {
        const name = random.pick(names);
        simulation.pause(name);
        simulation.after(400, () => {
          simulation.resume(name);
          simulation.after(random.between(0, 2000), stumble);
        });
      };
      await village.until(() => village.agreed(names), 5000);
      stumble();
      await village.run(600_000);
      const deaths = village.events.filter(([, { type }]) => type === "faulted");
      expect(deaths.map(([at, event]) => `${at}: ${"member" in event ? event.member.id : ""}`)).toEqual([]);
    });
  }, 120_000);

  test("lets nobody suffer for what a node did not hear while it stood still itself", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      await simulate(world(seed), async (simulation) => {
        const village = new Village(simulation, { latency: [60, 90] }, "fast");
        for (const name of ["a", "b"]) village.start(name);
        expect(await village.until(() => village.agreed(["a", "b"]), 5000)).toBe(true);
        const b = () => village.nodes.get("a")!.members().find(({ id }) => id === "b");
        // With heartbeats on their way whose answers were lost while nobody listened.
        for (let times = 0; times < 5; times++) {
          await village.run(simulation.random.between(0, 400));
          simulation.pause("a");
          village.network.cut("b", "a");
          simulation.after(simulation.random.between(400, 900), () => {
            village.network.mend("b", "a");
            simulation.resume("a");
          });
          expect(await village.until(() => b()?.suspected !== false, 2500)).toBe(false);
        }
        // With a suspicion that ran out while nobody could hear the objection.
        simulation.pause("b");
        expect(await village.until(() => b()?.suspected === true, 2000)).toBe(true);
        simulation.pause("a");
        await village.run(10_000);
        simulation.resume("b");
        simulation.resume("a");
        expect(await village.until(() => b()?.suspected === false && b()!.reachable, 2000)).toBe(true);
        expect(village.events.filter(([at, { type }]) => at === "a" && type === "faulted")).toEqual([]);
      });
    }
  }, 60_000);

  test("routes nothing to a silent node after a second, on any node, and buries it soon after", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      await simulate(world(seed), async (simulation) => {
        const names = Array.from({ length: 12 }, (_, at) => `n${at}`);
        const village = new Village(simulation, { latency: [0.2, 5] }, "fast");
        for (const name of names) village.start(name);
        expect(await village.until(() => village.agreed(names), 10_000)).toBe(true);
        const victim = simulation.random.pick(names);
        simulation.pause(victim);
        const others = names.filter((name) => name !== victim).map((name) => village.nodes.get(name)!);
        const routed = () =>
          others.some((node) =>
            node.members().some(({ id, reachable, suspected }) => id === victim && reachable && !suspected)
          );
        expect(await village.until(() => !routed(), 1000)).toBe(true);
        const alone = () => others.every((node) => node.members().length === names.length - 1);
        expect(await village.until(alone, 1000)).toBe(true);
        simulation.resume(victim);
        expect(await village.until(() => village.agreed(names), 3000)).toBe(true);
      });
    }
  }, 120_000);

  test("says as much per node and second in a large cluster as in a small one", async () => {
    const chatter = async (size: number): Promise<{ frames: number; size: number }> => {
      let said = { frames: 0, size: 0 };
      await simulate(world(1), async (simulation) => {
        const names = Array.from({ length: size }, (_, at) => `n${at}`);
        const village = new Village(simulation, { latency: [0.2, 5] }, "default");
        for (const name of names) village.start(name);
        expect(await village.until(() => village.agreed(names), 60_000)).toBe(true);
        await village.run(10_000);
        const before = village.network.stats;
        await village.run(20_000);
        const { sent, size: after } = village.network.stats;
        said = { frames: (sent - before.sent) / size / 20, size: (after - before.size) / size / 20 };
      });
      return said;
    };
    const small = await chatter(5);
    for (const size of "Bun" in globalThis ? [25, 100] : [25]) {
      const large = await chatter(size);
      expect(large.frames).toBeLessThan(1.2 * small.frames);
      expect(large.size).toBeLessThan(1.5 * small.size);
    }
  }, 120_000);
});
