/** Who leads by the view alone, and what runs there. */

import { describe, expect, test } from "bun:test";
import { createMediator, handle, query, type, unwrap } from "@catga/catga";
import { type ClusterEvent, joinCluster, leaderOnly, type Node } from "@catga/catga/cluster";
import { simulate, type Simulation } from "@catga/catga/testing";
import { drain } from "./drain.ts";

const Ask = query("ask", { input: type<void>(), output: type<string>(), route: leaderOnly() });
const world = (seed: number) => ({ seed, ...(drain === undefined ? {} : { drain }) });

/** Nodes of one simulation, and which of them run the task of the leader. */
class Council {
  readonly nodes: Map<string, Node> = new Map();
  readonly running: string[] = [];
  readonly elected: string[] = [];
  readonly #simulation: Simulation;
  readonly #network;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#network = simulation.network();
  }

  async join(name: string, kind: "process" | "service" = "process"): Promise<void> {
    const runtime = this.#simulation.runtime(name);
    const app = createMediator({ runtime, handlers: [handle(Ask, () => name)] });
    const { backend } = this.#network;
    const options = { node: name, endpoint: `sim:${name}`, backend, kind, timing: "fast" as const };
    void joinCluster(app, options).then((node) => {
      this.nodes.set(name, node);
      node.singleton("sum", (signal) => this.#work(name, signal));
      void this.#watch(name, node);
    });
    expect(await this.#simulation.until(() => this.nodes.has(name), 2000)).toBe(true);
  }

  leaders(): (string | undefined)[] {
    return [...this.nodes.values()].map((node) => node.leader?.id);
  }

  cut(from: string, to: string): void {
    this.#network.cut(from, to);
  }

  until(condition: () => boolean): Promise<boolean> {
    return this.#simulation.until(condition, 5000);
  }

  #work(name: string, signal: AbortSignal): Promise<void> {
    this.running.push(name);
    return new Promise((resolve) =>
      signal.addEventListener("abort", () => {
        this.running.splice(this.running.indexOf(name), 1);
        resolve();
      })
    );
  }

  async #watch(name: string, node: Node): Promise<void> {
    for await (const { events } of node.watch()) {
      for (const event of events as readonly ClusterEvent[]) {
        if (event.type === "leader") this.elected.push(`${name}: ${event.leader?.id}`);
      }
    }
  }
}

describe("a soft leader", () => {
  test("is the process that stands longest; when it dies, leaves or resigns the next one is, everywhere", async () => {
    await simulate(world(1), async (simulation) => {
      const council = new Council(simulation);
      await council.join("s", "service");
      for (const name of ["c", "b", "a"]) {
        await council.join(name);
        await simulation.run(100);
      }
      expect(await council.until(() => council.leaders().every((id) => id === "c"))).toBe(true);
      expect(council.nodes.get("a")!.leader).toEqual({ id: "c", local: false, soft: true, term: undefined });
      expect(council.nodes.get("c")!.leader?.local).toBe(true);
      expect(council.running).toEqual(["c"]);

      let answer: string | undefined;
      void council.nodes.get("s")!.send(Ask()).then((result) => answer = unwrap(result));
      await council.until(() => answer !== undefined);
      expect(answer).toBe("c");

      simulation.crash("c");
      council.running.splice(council.running.indexOf("c"), 1);
      council.nodes.delete("c");
      expect(await council.until(() => council.leaders().every((id) => id === "b"))).toBe(true);
      expect(council.running).toEqual(["b"]);

      void council.nodes.get("b")!.resign();
      expect(await council.until(() => council.leaders().every((id) => id === "a"))).toBe(true);
      expect(council.running).toEqual(["a"]);
      expect(council.elected).toContain("s: a");

      let left = false;
      void council.nodes.get("a")!.leave().then(() => left = true);
      await council.until(() => left);
      council.nodes.delete("a");
      expect(council.leaders()).toEqual(["b", "b"]);
      expect(council.running).toEqual(["b"]);
    });
  });

  test("keeps its place when others come, and its task runs again when it fails", async () => {
    await simulate(world(2), async (simulation) => {
      const council = new Council(simulation);
      await council.join("z");
      let runs = 0;
      council.nodes.get("z")!.singleton("fragile", () => {
        if (++runs < 3) throw new Error("not yet");
        return Promise.resolve();
      });
      await simulation.run(100);
      for (const name of ["a", "b"]) await council.join(name);
      await simulation.run(10_000);
      expect(council.leaders()).toEqual(["z", "z", "z"]);
      expect(runs).toBe(3);
      expect(council.running).toEqual(["z"]);
    });
  });

  test("stays the leader of a node that cannot reach it, as long as another one does", async () => {
    await simulate(world(3), async (simulation) => {
      const council = new Council(simulation);
      for (const name of ["a", "b", "c"]) {
        await council.join(name);
        await simulation.run(100);
      }
      expect(await council.until(() => council.leaders().every((id) => id === "a"))).toBe(true);
      await simulation.run(1000);
      council.elected.length = 0;
      council.cut("b", "a");
      const missed = () =>
        council.nodes.get("b")!.members().some(({ id, reachable }) => id === "a" && !reachable);
      expect(await council.until(missed)).toBe(true);
      await simulation.run(3000);
      expect(council.elected).toEqual([]);
      expect(council.running).toEqual(["a"]);
    });
  });
});
