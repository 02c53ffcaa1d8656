/** A node that crashes each second troubles nobody for long; when it has stopped doing so it is one like the others. */

import { describe, expect, test } from "bun:test";
import { createMediator, handle, query, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { simulate } from "@catga/catga/testing";
import { drain } from "./drain.ts";
import { Village } from "./membership_scenario.ts";

const others = ["a", "b", "c", "d"];
const names = [...others, "x"];
const MINUTE = 60_000;
/** How long after it was told an event is heard of here, in ms. */
const LATE = 50;
const seeds = Array.from({ length: 5 }, (_, at) => at + 1);

describe("a node that crashes each second for two minutes", () => {
  test.each([["default" as const, 0], ["default" as const, 600], ["fast" as const, 0], [
    "fast" as const,
    600,
  ]])(
    "%s timing, back after %d ms: two changes a minute are told, and in the end all views are one",
    async (timing, down) => {
      for (const seed of seeds) {
        await simulate(
          { seed, lateness: 4, ...(drain === undefined ? {} : { drain }) },
          async (simulation) => {
            const village = new Village(simulation, { latency: [0.2, 5], loss: 0.01 }, timing);
            const told: { readonly node: string; readonly at: number }[] = [];
            let heard = 0;
            const listen = (): void => {
              for (; heard < village.events.length; heard++) {
                const [node, event] = village.events[heard]!;
                if (!("member" in event) || event.member.id !== "x" || node === "x") continue;
                if (event.type === "joined" || event.type === "faulted" || event.type === "recovered") {
                  told.push({ node, at: simulation.time });
                }
              }
            };
            const listening = (ms: number) => village.until(() => (listen(), false), ms);
            for (const name of names) village.start(name);
            expect(await village.until(() => village.agreed(names), 10_000)).toBe(true);
            listen();
            told.length = 0;
            for (let crashes = 0; crashes < 120; crashes++) {
              await listening(1000 - down);
              simulation.crash("x");
              await listening(down);
              village.start("x");
            }
            const begins = told.map(({ at }) => at);
            for (const node of others) {
              const mine = told.filter((each) => each.node === node);
              for (const from of begins) {
                const within = mine.filter(({ at }) => at >= from && at < from + MINUTE - LATE);
                expect(within.length).toBeLessThanOrEqual(2);
              }
            }
            expect(told.length).toBeGreaterThan(0);
            expect(await village.until(() => village.agreed(names), 15_000)).toBe(true);
          },
        );
      }
    },
    60_000,
  );

  test("gets calls in its first lives, and then none until it has stood for three heartbeats", async () => {
    const WhoAmI = query("who", { input: type<void>(), output: type<string>() });
    await simulate({ seed: 1, ...(drain === undefined ? {} : { drain }) }, async (simulation) => {
      const network = simulation.network({ latency: [0.2, 2] });
      const lives: number[] = [];
      const join = (name: string, life = 0): Promise<Node> => {
        const handlers = [handle(WhoAmI, () => {
          if (name === "x") lives.push(life);
          return name;
        })];
        const app = createMediator({ handlers, runtime: simulation.runtime(name) });
        return joinCluster(app, { node: name, endpoint: `sim:${name}`, backend: network.backend });
      };
      const started = join("a");
      void join("b");
      void join("x", 0);
      await simulation.run(5000);
      const asker = await started;
      const ask = async (ms: number): Promise<string[]> => {
        const answers: Promise<unknown>[] = [];
        for (let at = 0; at < ms; at += 20) {
          answers.push(asker.send(WhoAmI()));
          await simulation.run(20);
        }
        const done = Promise.all(answers);
        await simulation.run(5000);
        return (await done).map((answer) => (answer as { readonly value?: string }).value ?? "none");
      };
      const crash = async (life: number): Promise<void> => {
        await simulation.run(900);
        simulation.crash("x");
        await simulation.run(100);
        void join("x", life);
        await simulation.run(50);
      };
      for (let life = 1; life <= 5; life++) {
        await crash(life);
        for (let n = 0; n < 9; n++) void asker.send(WhoAmI());
        await simulation.run(50);
      }
      expect([...new Set(lives)]).toEqual([1, 2]);
      expect(asker.members().map(({ id }) => id)).toEqual(["a", "b", "x"]);
      expect(await ask(1000)).not.toContain("x");
      expect(await ask(1000)).toContain("x");
      expect([...new Set(lives)]).toEqual([1, 2, 5]);
    });
  });
});
