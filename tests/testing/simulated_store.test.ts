/** The store of a simulation: a store like any other, and what goes wrong on the way there. */

import { describe, expect, test } from "bun:test";
import type { Store } from "@catga/catga/ports";
import {
  createSimulation,
  type SimulatedStore,
  simulatedStore,
  type SimulatedStoreOptions,
  type Simulation,
  storeConformance,
  type StoreUnderTest,
} from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

interface Shop {
  readonly simulation: Simulation;
  readonly server: SimulatedStore;
  readonly a: Store;
  readonly b: Store;
  /** What a request came to so far: `open`, its value, or the code of its failure. */
  ask(work: Promise<unknown>): { end: unknown };
}

function shop(options: SimulatedStoreOptions = {}, seed = 1): Shop {
  const simulation = createSimulation({ seed, ...(drain === undefined ? {} : { drain }) });
  const server = simulatedStore(simulation, options);
  const [a, b] = ["a", "b"].map((node) => server.open(simulation.runtime(node)));
  const ask: Shop["ask"] = (work) => {
    const asked: { end: unknown } = { end: "open" };
    work.then((value) => asked.end = value, (error: { code: string }) => asked.end = error.code);
    return asked;
  };
  return { simulation, server, a: a!, b: b!, ask };
}

/** Lets virtual time run on for as long as a check waits for it. */
function underTest(options: SimulatedStoreOptions): StoreUnderTest {
  const { simulation, a, b } = shop(options);
  let open = true;
  const pump = (async () => {
    while (open) {
      await simulation.run(1);
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
  })();
  return {
    store: a,
    other: b,
    pass: async (ms) => {
      const until = simulation.time + ms;
      while (simulation.time < until) await new Promise<void>((resolve) => setTimeout(resolve, 0));
    },
    close: () => {
      open = false;
      return pump;
    },
  };
}

describe("the simulated store is a store", () => {
  const checks = storeConformance(() => Promise.resolve(underTest({ latency: [0.01, 0.2], drift: 0.001 })), {
    ttl: 300,
  });
  for (const { name, run } of checks) test(name, run);
});

describe("a way to the simulated store", () => {
  test("takes its time, there and back", async () => {
    const { simulation, server, a, ask } = shop({ latency: [10, 10] });
    const put = ask(a.put("k", "v"));
    await simulation.run(9);
    expect(server.entries()).toEqual([]);
    await simulation.run(2);
    expect([server.entries(), put.end]).toEqual([[{ key: "k", value: "v", revision: 1 }], "open"]);
    await simulation.run(10);
    expect(put.end).toBe(1);
  });

  test("is refused before anything is done", async () => {
    const { simulation, server, a, ask } = shop({ refused: 1 });
    const put = ask(a.put("k", "v"));
    await simulation.run(10_000);
    expect([put.end, server.entries()]).toEqual(["UNAVAILABLE", []]);
  });

  test("loses requests, and answers to what was done", async () => {
    for (const [rate, kept] of [["lost", 0], ["unanswered", 1]] as const) {
      const { simulation, server, a, ask } = shop({ [rate]: 1, silence: [100, 100] });
      const put = ask(a.put("k", "v"));
      await simulation.run(99);
      expect(put.end).toBe("open");
      await simulation.run(10);
      expect([put.end, server.entries().length]).toEqual(["TRANSPORT", kept]);
    }
  });

  test("can be slower than its caller is patient, and what was given up is done all the same", async () => {
    const { simulation, server, a, ask } = shop({ slow: 1, slowLatency: [1000, 1000] });
    const controller = new AbortController();
    const put = ask(a.put("k", "v", { signal: controller.signal }));
    await simulation.run(500);
    controller.abort();
    await simulation.run(1);
    expect([put.end, server.entries()]).toEqual(["CANCELLED", []]);
    await simulation.run(1000);
    expect(server.entries()).toHaveLength(1);
  });

  test("is cut for one node, in both directions, until it is mended", async () => {
    const { simulation, server, a, b, ask } = shop({ latency: [10, 10], silence: [50, 50] });
    const before = ask(a.put("before", ""));
    await simulation.run(15);
    server.cut("a");
    const [cut, other] = [ask(a.put("cut", "")), ask(b.put("other", ""))];
    await simulation.run(100);
    expect([before.end, cut.end, other.end]).toEqual(["TRANSPORT", "TRANSPORT", 2]);
    server.mend("a");
    const mended = ask(a.get("before"));
    await simulation.run(100);
    expect(mended.end).toEqual({ key: "before", value: "", revision: 1 });
  });

  test("answers nothing to a node that crashed, and late to one that stands still", async () => {
    const { simulation, server, a, b, ask } = shop({ latency: [10, 10] });
    const [crashed, paused] = [ask(a.put("a", "")), ask(b.put("b", ""))];
    simulation.pause("b");
    await simulation.run(5);
    simulation.crash("a");
    await simulation.run(1000);
    expect([crashed.end, paused.end, server.entries().length]).toEqual(["open", "open", 2]);
    expect(ask(a.get("a")).end).toBe("open");
    simulation.resume("b");
    await simulation.run(0);
    expect(paused.end).toBeGreaterThan(0);
  });

  test("breaks a watch off when it loses a change, and keeps changes in order else", async () => {
    const { simulation, server, a, b } = shop({ latency: [1, 50], silence: [100, 100] });
    const told: string[] = [];
    let end = "";
    void (async () => {
      for await (const change of a.watch("")) {
        told.push(change.type === "put" ? change.entry.value : change.type);
      }
    })().catch((error: { code: string }) => end = error.code);
    await simulation.run(200);
    for (let value = 0; value < 50; value++) {
      void b.put("k", `${value}`);
      await simulation.run(60);
    }
    await simulation.run(200);
    expect(told).toEqual(["ready", ...Array.from({ length: 50 }, (_, value) => `${value}`)]);
    server.cut("a");
    void b.put("k", "lost");
    await simulation.run(60);
    server.mend("a");
    void b.put("k", "not told either");
    await simulation.run(200);
    expect([told.at(-1), end]).toEqual(["49", "TRANSPORT"]);
  });

  test("forgets a watch that was left, or whose node crashed, before it began and after", async () => {
    const { simulation, a, b } = shop({ latency: [10, 10] });
    const controller = new AbortController();
    let ended = false;
    void (async () => {
      for await (const _ of a.watch("", { signal: controller.signal }));
      ended = true;
    })();
    await simulation.run(5);
    controller.abort();
    await simulation.run(100);
    expect(ended).toBe(true);
    const told: string[] = [];
    void (async () => {
      for await (const { type } of a.watch("")) told.push(type);
    })();
    await simulation.run(100);
    simulation.crash("a");
    void b.put("k", "");
    await simulation.run(100);
    expect(told).toEqual(["ready"]);
  });

  test("heals: no cuts, no losses", async () => {
    const { simulation, server, a, ask } = shop({ lost: 1 });
    server.change({ refused: 1 });
    server.cut("a");
    server.heal();
    const put = ask(a.put("k", ""));
    await simulation.run(10);
    expect(put.end).toBe(1);
  });
});

describe("the simulated store's clock", () => {
  test("is its own", async () => {
    const { simulation, server, a } = shop({ latency: [0, 0], drift: 0.1 });
    void a.put("k", "", { ttl: 1100 });
    await simulation.run(999);
    expect(server.entries()).toHaveLength(1);
    await simulation.run(2);
    expect(server.entries()).toHaveLength(0);
  });
});

test("the same seed goes the same way, another one does not", async () => {
  const run = async (seed: number): Promise<string> => {
    const { simulation, a, b } = shop({ latency: [1, 20], lost: 0.1, unanswered: 0.1, slow: 0.1 }, seed);
    for (let step = 0; step < 100; step++) {
      void (step % 2 === 0 ? a : b).put(`${step % 7}`, `${step}`, { expected: "absent", ttl: 50 }).catch(
        () => {},
      );
      await simulation.run(10);
    }
    return simulation.trace.hash;
  };
  expect(await run(1)).toBe(await run(1));
  expect(await run(1)).not.toBe(await run(2));
});

test("what cannot be is refused", () => {
  const { simulation, server } = shop();
  expect(() => simulatedStore(simulation, { lost: 2 })).toThrow("lost is 2");
  expect(() => server.change({ latency: [5, 1] })).toThrow("latency is [5,1]");
  expect(() => server.open(createSimulation({ seed: 1 }).runtime("a"))).toThrow(RangeError);
  expect(() => simulatedStore({ ...simulation } as Simulation)).toThrow(RangeError);
});
