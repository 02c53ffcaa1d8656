/** The event store of a simulation: one like any other, and what goes wrong on the way there. */

import { describe, expect, test } from "bun:test";
import type { EventStore } from "@catga/catga/ports";
import {
  createSimulation,
  eventStoreConformance,
  type EventStoreUnderTest,
  type SimulatedEventStore,
  simulatedEventStore,
  type SimulatedEventStoreOptions,
  type Simulation,
} from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

interface Shop {
  readonly simulation: Simulation;
  readonly server: SimulatedEventStore;
  readonly a: EventStore;
  readonly b: EventStore;
  /** What a request came to so far: `open`, its value, or the code of its failure. */
  ask(work: Promise<unknown>): { end: unknown };
}

const event = (id: string) => ({ id, type: "t", data: "{}" });

function shop(options: SimulatedEventStoreOptions = {}, seed = 1): Shop {
  const simulation = createSimulation({ seed, ...(drain === undefined ? {} : { drain }) });
  const server = simulatedEventStore(simulation, options);
  const [a, b] = ["a", "b"].map((node) => server.open(simulation.runtime(node)));
  const ask: Shop["ask"] = (work) => {
    const asked: { end: unknown } = { end: "open" };
    work.then((value) => asked.end = value, (error: { code: string }) => asked.end = error.code);
    return asked;
  };
  return { simulation, server, a: a!, b: b!, ask };
}

/** Lets virtual time run on for as long as a check waits for it. */
function underTest(options: SimulatedEventStoreOptions): EventStoreUnderTest {
  const { simulation, a, b } = shop(options);
  let open = true;
  const pump = (async () => {
    while (open) {
      await simulation.run(5);
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
  })();
  return {
    events: a,
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

describe("the simulated event store is an event store", () => {
  const checks = eventStoreConformance(
    () => Promise.resolve(underTest({ latency: [0.01, 0.2], drift: 0.001 })),
    { wait: 100 },
  );
  for (const { name, run } of checks) test(name, run);
});

describe("a way to the simulated event store", () => {
  test("is refused before anything is done", async () => {
    const { simulation, server, a, ask } = shop({ refused: 1 });
    const append = ask(a.append("s", [event("1")]));
    await simulation.run(10_000);
    expect([append.end, server.events()]).toEqual(["UNAVAILABLE", []]);
  });

  test("loses requests, and answers to what was done", async () => {
    for (const [rate, kept] of [["lost", 0], ["unanswered", 1]] as const) {
      const { simulation, server, a, ask } = shop({ [rate]: 1, silence: [100, 100] });
      const append = ask(a.append("s", [event("1")]));
      await simulation.run(110);
      expect([append.end, server.events().length]).toEqual(["TRANSPORT", kept]);
    }
  });

  test("can be slower than its caller is patient, and what was given up is done all the same", async () => {
    const { simulation, server, a, ask } = shop({ slow: 1, slowLatency: [1000, 1000] });
    const controller = new AbortController();
    const append = ask(a.append("s", [event("1")], { signal: controller.signal }));
    await simulation.run(500);
    controller.abort();
    await simulation.run(1);
    expect([append.end, server.events()]).toEqual(["CANCELLED", []]);
    await simulation.run(1000);
    expect(server.events()).toHaveLength(1);
  });

  test("is cut for one node until it is mended or all is healed", async () => {
    const { simulation, server, a, b, ask } = shop({ latency: [1, 1], silence: [50, 50] });
    server.cut("a");
    const [cut, other] = [ask(a.append("s", [event("1")])), ask(b.append("s", [event("2")]))];
    await simulation.run(100);
    expect([cut.end, other.end]).toEqual(["TRANSPORT", { version: 1, position: 1 }]);
    server.mend("a");
    const mended = ask(a.head());
    await simulation.run(100);
    expect(mended.end).toBe(1);
    server.cut("a");
    server.change({ lost: 1, short: 1 });
    server.heal();
    const healed = ask(a.head());
    await simulation.run(100);
    expect(healed.end).toBe(1);
  });

  test("answers nothing to a node that crashed", async () => {
    const { simulation, server, a, ask } = shop({ latency: [10, 10] });
    const append = ask(a.append("s", [event("1")]));
    await simulation.run(5);
    simulation.crash("a");
    await simulation.run(1000);
    expect([append.end, server.events().length]).toEqual(["open", 1]);
    expect(ask(a.head()).end).toBe("open");
  });

  test("gives shorter pages than it might, but none that is empty before the end", async () => {
    const { simulation, a, ask } = shop({ short: 0.8 });
    const append = a.append("s", Array.from({ length: 50 }, (_, at) => event(`${at}`)));
    void append;
    await simulation.run(100);
    const sizes: number[] = [];
    let after = 0;
    while (after < 50) {
      const page = ask(a.readAll({ after, limit: 10 }));
      await simulation.run(100);
      const { length } = page.end as { length: number };
      expect(length).toBeGreaterThan(0);
      sizes.push(length);
      after += length;
    }
    expect(sizes.some((size) => size < 10)).toBe(true);
  });

  test("tells of what is new, though word of it may be lost", async () => {
    const { simulation, server, a, b, ask } = shop({ latency: [1, 1], silence: [50, 50] });
    const heard = ask(a.changed(0, { wait: 10_000 }));
    const over = ask(a.changed(1, { wait: 500 }));
    await simulation.run(100);
    expect(heard.end).toBe("open");
    void b.append("s", [event("1")]);
    await simulation.run(100);
    expect([heard.end, over.end]).toEqual([undefined, "open"]);
    await simulation.run(500);
    expect(over.end).toBe(undefined);
    const lost = ask(a.changed(1, { wait: 10_000 }));
    await simulation.run(10);
    server.cut("a");
    void b.append("s", [event("2")]);
    await simulation.run(100);
    expect(lost.end).toBe("TRANSPORT");
  });
});

test("the same seed goes the same way, another one does not", async () => {
  const run = async (seed: number): Promise<string> => {
    const conditions = { latency: [1, 20], lost: 0.1, unanswered: 0.1, slow: 0.1, short: 0.3 } as const;
    const { simulation, a, b } = shop(conditions, seed);
    for (let step = 0; step < 100; step++) {
      void (step % 2 === 0 ? a : b).append(`${step % 7}`, [event(`${step}`)]).catch(() => {});
      await simulation.run(10);
    }
    return simulation.trace.hash;
  };
  expect(await run(1)).toBe(await run(1));
  expect(await run(1)).not.toBe(await run(2));
});

test("what cannot be is refused", () => {
  const { simulation, server } = shop();
  expect(() => simulatedEventStore(simulation, { lost: 2 })).toThrow("lost is 2");
  expect(() => simulatedEventStore(simulation, { short: -1 })).toThrow("short is -1");
  expect(() => server.change({ latency: [5, 1] })).toThrow("latency is [5,1]");
  expect(() => server.open(createSimulation({ seed: 1 }).runtime("a"))).toThrow(RangeError);
  expect(() => simulatedEventStore({ ...simulation } as Simulation)).toThrow(RangeError);
});
