/** What goes wrong on the way to the queue of a simulation. */

import { describe, expect, test } from "bun:test";
import type { Delivery, Queue } from "@catga/catga/ports";
import {
  createSimulation,
  type SimulatedQueue,
  simulatedQueue,
  type SimulatedQueueOptions,
  type Simulation,
} from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

interface Asked<T = unknown> {
  /** `open`, `ok` or the code of its failure. */
  end: string;
  value: T | undefined;
}

interface Yard {
  readonly simulation: Simulation;
  readonly server: SimulatedQueue;
  readonly a: Queue;
  readonly b: Queue;
}

function yard(options: SimulatedQueueOptions = {}, seed = 1): Yard {
  const simulation = createSimulation({ seed, ...(drain === undefined ? {} : { drain }) });
  const server = simulatedQueue(simulation, options);
  const [a, b] = ["a", "b"].map((node) => server.open(simulation.runtime(node)));
  return { simulation, server, a: a!, b: b! };
}

function ask<T>(work: Promise<T>): Asked<T> {
  const asked: Asked<T> = { end: "open", value: undefined };
  work.then((value) => {
    asked.end = "ok";
    asked.value = value;
  }, (error: { code: string }) => asked.end = error.code);
  return asked;
}

/** A group with one item in it. */
async function begin({ simulation, a }: Yard, id = "1"): Promise<void> {
  ask(a.subscribe("t", "g"));
  await simulation.run(10_000);
  ask(a.push("t", [{ id, payload: id }]));
  await simulation.run(10_000);
}

const one = { max: 1, lease: 1000 };

describe("a way to the simulated queue", () => {
  test("takes its time, there and back", async () => {
    const world = yard();
    await begin(world);
    const { simulation, server, a } = world;
    server.change({ latency: [10, 10] });
    const pushed = ask(a.push("t", [{ id: "2", payload: "" }]));
    await simulation.run(9);
    expect(server.pending()).toHaveLength(1);
    await simulation.run(2);
    expect([server.pending().length, pushed.end]).toEqual([2, "open"]);
    await simulation.run(10);
    expect(pushed.end).toBe("ok");
    expect(server.pending()[0]).toEqual({ topic: "t", group: "g", id: "1", key: undefined, attempt: 0 });
  });

  test.each(
    [["refused", "UNAVAILABLE", 1], ["lost", "TRANSPORT", 1], ["unanswered", "TRANSPORT", 2]] as const,
  )(
    "a push that is %s: %s, and %p are there",
    async (rate, code, there) => {
      const world = yard({ silence: [100, 100] });
      await begin(world);
      const { simulation, server, a } = world;
      server.change({ [rate]: 1 });
      const pushed = ask(a.push("t", [{ id: "2", payload: "" }]));
      await simulation.run(99);
      expect(pushed.end).toBe(rate === "refused" ? code : "open");
      await simulation.run(10);
      expect([pushed.end, server.pending().length]).toEqual([code, there]);
    },
  );

  test("an acknowledgement that is unanswered is done, and can be repeated", async () => {
    const world = yard();
    await begin(world);
    const { simulation, server, a } = world;
    const pulled = ask(a.pull("t", "g", one));
    await simulation.run(10);
    server.change({ unanswered: 1, silence: [10, 10] });
    const acked = ask(pulled.value![0]!.ack());
    await simulation.run(100);
    expect([acked.end, server.pending()]).toEqual(["TRANSPORT", []]);
    server.heal();
    const again = ask(pulled.value![0]!.ack());
    await simulation.run(100);
    expect(again.end).toBe("ok");
  });

  test("what was pulled and never arrived comes again when its lease is over", async () => {
    const world = yard({ latency: [1, 1] });
    await begin(world);
    const { simulation, server, a, b } = world;
    server.change({ unanswered: 1, silence: [10, 10] });
    const pulled = ask(a.pull("t", "g", one));
    await simulation.run(100);
    server.heal();
    const early = ask(b.pull("t", "g", one));
    await simulation.run(800);
    const late = ask(b.pull("t", "g", { ...one, wait: 500 }));
    await simulation.run(500);
    expect([pulled.end, early.value, late.value?.[0]?.attempt]).toEqual(["TRANSPORT", [], 2]);
  });

  test("a pull that is given up is called off, unless that is lost", async () => {
    for (const [lost, attempt] of [[0, 1], [1, 2]] as const) {
      const world = yard({ latency: [1, 1] });
      const { simulation, server, a, b } = world;
      ask(a.subscribe("t", "g"));
      await simulation.run(10);
      const controller = new AbortController();
      const pulled = ask(a.pull("t", "g", { ...one, wait: 5000, signal: controller.signal }));
      await simulation.run(10);
      server.change({ lost });
      controller.abort();
      await simulation.run(10);
      server.change({ lost: 0 });
      ask(b.push("t", [{ id: "1", payload: "" }]));
      await simulation.run(10);
      const other = ask(b.pull("t", "g", { ...one, wait: 5000 }));
      await simulation.run(5000);
      expect([pulled.end, other.value?.[0]?.attempt]).toEqual(["CANCELLED", attempt]);
    }
  });

  test("who crashed may take an item yet, and never hears of it", async () => {
    const world = yard({ latency: [1, 1] });
    const { simulation, a, b } = world;
    ask(a.subscribe("t", "g"));
    await simulation.run(10);
    const pulled = ask(a.pull("t", "g", { ...one, wait: 5000 }));
    await simulation.run(10);
    simulation.crash("a");
    ask(b.push("t", [{ id: "1", payload: "" }]));
    await simulation.run(10);
    const other = ask(b.pull("t", "g", { ...one, wait: 5000 }));
    await simulation.run(900);
    expect(other.end).toBe("open");
    await simulation.run(200);
    expect([pulled.end, other.value?.[0]?.attempt, ask(a.backlog("t", "g")).end]).toEqual([
      "open",
      2,
      "open",
    ]);
  });

  test("is cut for one node, in both directions, until it is mended", async () => {
    const world = yard({ latency: [10, 10], silence: [50, 50] });
    await begin(world);
    const { simulation, server, a, b } = world;
    const before = ask(a.pull("t", "g", one));
    await simulation.run(15);
    server.cut("a");
    const [cut, other] = [ask(a.backlog("t", "g")), ask(b.backlog("t", "g"))];
    await simulation.run(100);
    expect([before.end, cut.end, other.value?.leased]).toEqual(["TRANSPORT", "TRANSPORT", 1]);
    server.mend("a");
    const mended = ask(a.backlog("t", "g"));
    await simulation.run(100);
    expect(mended.end).toBe("ok");
  });

  test("hands a slow one what it asked for, however late", async () => {
    const world = yard();
    await begin(world);
    const { simulation, server, a } = world;
    server.change({ slow: 1, slowLatency: [2000, 2000] });
    const pulled = ask(a.pull("t", "g", one));
    await simulation.run(1999);
    expect(pulled.end).toBe("open");
    await simulation.run(10);
    expect(pulled.value?.map(({ id }: Delivery) => id)).toEqual(["1"]);
  });

  test("carries a payload as it was when it was pushed", async () => {
    const world = yard({ latency: [10, 10] });
    await begin(world);
    const { simulation, a } = world;
    const payload = Uint8Array.of(1, 2);
    ask(a.push("t", [{ id: "2", payload }]));
    payload.fill(0);
    const pulled = ask(a.pull("t", "g", { max: 9, lease: 1000, wait: 100 }));
    await simulation.run(30);
    const more = ask(a.pull("t", "g", { max: 9, lease: 1000, wait: 100 }));
    await simulation.run(150);
    const all = [...pulled.value ?? [], ...more.value ?? []];
    expect(all.find(({ id }) => id === "2")?.payload).toEqual(Uint8Array.of(1, 2));
  });
});

test("the simulated queue's clock is its own", async () => {
  const world = yard({ latency: [0, 0], drift: 0.1 });
  await begin(world);
  const { simulation, a } = world;
  ask(a.pull("t", "g", { max: 1, lease: 1100 }));
  await simulation.run(1);
  const again = ask(a.pull("t", "g", { max: 1, lease: 1100, wait: 5000 }));
  await simulation.run(998);
  expect(again.end).toBe("open");
  await simulation.run(2);
  expect(again.value?.[0]?.attempt).toBe(2);
});

test("a group that nobody asks is given nothing more", async () => {
  const world = yard({ latency: [0, 0] });
  const { simulation, server, a } = world;
  ask(a.subscribe("t", "g", { idle: 100 }));
  await simulation.run(1);
  ask(a.subscribe("t", "h"));
  await simulation.run(100);
  ask(a.push("t", [{ id: "1", payload: "" }]));
  await simulation.run(1);
  expect(server.pending().map(({ group }) => group)).toEqual(["h"]);
});

test("the same seed goes the same way, another one does not", async () => {
  const run = async (seed: number): Promise<string> => {
    const { simulation, a, b } = yard({ latency: [1, 20], lost: 0.1, unanswered: 0.1, slow: 0.1 }, seed);
    ask(a.subscribe("t", "g"));
    for (let step = 0; step < 100; step++) {
      const queue = step % 2 === 0 ? a : b;
      ask(queue.push("t", [{ id: `${step % 70}`, key: `${step % 3}`, payload: "" }]));
      ask(
        queue.pull("t", "g", { max: 2, lease: 50, wait: 30 }).then((all) =>
          all.map((each) => ask(each.ack()))
        ),
      );
      await simulation.run(10);
    }
    return simulation.trace.hash;
  };
  expect(await run(1)).toBe(await run(1));
  expect(await run(1)).not.toBe(await run(2));
});

test("what cannot be is refused", () => {
  const { simulation, server } = yard();
  expect(() => simulatedQueue(simulation, { lost: 2 })).toThrow("lost is 2");
  expect(() => server.change({ latency: [5, 1] })).toThrow("latency is [5,1]");
  expect(() => server.open(createSimulation({ seed: 1 }).runtime("a"))).toThrow(RangeError);
  expect(() => simulatedQueue({ ...simulation } as Simulation)).toThrow(RangeError);
});
