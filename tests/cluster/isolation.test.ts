/** Nodes that calls are kept from. */

import { expect, test } from "bun:test";
import { command, createMediator, handle, query, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { simulate, type Simulation } from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

const Ask = query("ask", { input: type<void>(), output: type<string>(), timeout: 500 });
const Do = command("do", { input: type<void>(), output: type<string>(), timeout: 500 });
const world = { seed: 1, ...(drain === undefined ? {} : { drain }) };

/** A caller and three nodes that answer with their names, or as long as `sick` holds them not at all. */
async function join(
  simulation: Simulation,
  sick: Set<string>,
): Promise<{ caller: Node; asked: Map<string, number> }> {
  const { backend } = simulation.network();
  const nodes = new Map<string, Node>();
  const asked = new Map<string, number>();
  for (const name of ["caller", "a", "b", "c"]) {
    const runtime = simulation.runtime(name);
    const answer = (): string | Promise<string> => {
      asked.set(name, (asked.get(name) ?? 0) + 1);
      return sick.has(name) ? new Promise(() => {}) : name;
    };
    const handlers = name === "caller" ? [] : [handle(Ask, answer), handle(Do, answer)];
    const app = createMediator({ runtime, handlers });
    void joinCluster(app, { node: name, endpoint: `sim:${name}`, backend }).then((node) =>
      nodes.set(name, node)
    );
  }
  await simulation.until(() => nodes.size === 4, 5000);
  await simulation.run(200);
  return { caller: nodes.get("caller")!, asked };
}

/** Who answered so many calls, one after the other; the code of those that failed. */
async function answers(simulation: Simulation, node: Node, count: number): Promise<readonly string[]> {
  const got: string[] = [];
  const next = (): void => {
    if (got.length === count) return;
    void node.send(Do()).then((result) => {
      got.push(result.ok ? result.value : result.error.code);
      next();
    });
  };
  next();
  await simulation.until(() => got.length === count, 600_000);
  return got;
}

const share = (all: readonly string[], one: string) => all.filter((each) => each === one).length / all.length;

test("a node that does not answer gets next to no calls, and its share again once it does", async () => {
  await simulate(world, async (simulation) => {
    const sick = new Set<string>();
    const { caller, asked } = await join(simulation, sick);
    expect(share(await answers(simulation, caller, 300), "b")).toBeCloseTo(1 / 3, 1);
    sick.add("b");
    const before = asked.get("b")!;
    const during = await answers(simulation, caller, 2000);
    expect(asked.get("b")! - before).toBeLessThan(20);
    expect(share(during, "TIMEOUT")).toBeLessThan(0.01);
    expect(caller.inspect().targets.find(({ id }) => id === "b")!.state).not.toBe("closed");
    sick.delete("b");
    await simulation.run(70_000);
    await answers(simulation, caller, 100);
    expect(share(await answers(simulation, caller, 300), "b")).toBeCloseTo(1 / 3, 1);
    expect(caller.inspect().targets.map(({ state, inFlight }) => [state, inFlight])).toEqual(
      ["a", "b", "c"].map(() => ["closed", 0]),
    );
  });
});

test("a node that is isolated by hand gets no call until it is restored, whoever else is left", async () => {
  await simulate(world, async (simulation) => {
    const { caller } = await join(simulation, new Set());
    caller.isolate("a");
    expect(new Set(await answers(simulation, caller, 30))).toEqual(new Set(["b", "c"]));
    caller.isolate("b");
    caller.isolate("c");
    expect(new Set(await answers(simulation, caller, 3))).toEqual(new Set(["UNAVAILABLE"]));
    caller.restore("a");
    expect(new Set(await answers(simulation, caller, 30))).toEqual(new Set(["a"]));
  });
});

test("a key that takes more than its share is told of while it does, and is there for inspection", async () => {
  const Get = query("get", { input: type<string>(), output: type<string>(), key: (id) => id });
  await simulate(world, async (simulation) => {
    const { backend } = simulation.network();
    const runtime = simulation.runtime("a");
    const told: string[] = [];
    let node: Node | undefined;
    const app = createMediator({ runtime, handlers: [handle(Get, (id) => id)] });
    const options = { node: "a", endpoint: "sim:a", backend, hotKeys: { share: 0.3, rate: 50 } };
    void joinCluster(app, options).then(async (joined) => {
      node = joined;
      for await (const { events } of joined.watch()) {
        for (const event of events) {
          if (event.type === "hotKey" || event.type === "coolKey") {
            told.push(`${event.type} ${event.contract} ${event.key}`);
          }
        }
      }
    });
    await simulation.until(() => node !== undefined, 5000);
    const call = (hot: boolean): void => {
      for (let n = 0; n < 10; n++) {
        void node!.send(Get(hot && n < 6 ? "hot" : `cold ${runtime.random.u32()}`));
      }
    };
    for (let times = 0; times < 100; times++) {
      call(true);
      await simulation.run(50);
    }
    expect(told).toEqual(["hotKey get hot"]);
    expect(node!.inspect().hotKeys).toMatchObject([{ contract: "get", key: "hot" }]);
    for (let times = 0; times < 1000; times++) {
      call(false);
      await simulation.run(50);
    }
    expect(told).toEqual(["hotKey get hot", "coolKey get hot"]);
    expect(node!.inspect().hotKeys).toEqual([]);
  });
});
