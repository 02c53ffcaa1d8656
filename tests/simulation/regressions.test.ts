/** What the simulator has found, each as small as it gets. */

import { describe, expect, test } from "bun:test";
import { command, createMediator, event, handle, type Module, on, query, stream, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import type { Backend } from "@catga/catga/ports";
import { createSimulation, type SimulatedNetwork, type Simulation } from "@catga/catga/testing";

const Find = query("find", { input: type<void>(), output: type<string>() });
const Store = command("store", { input: type<void>(), output: type<string>(), idempotent: true });
const Ticks = stream("ticks", { input: type<void>(), output: type<number>() });
const Happened = event("happened", { data: type<void>() });

interface World {
  readonly simulation: Simulation;
  readonly network: SimulatedNetwork;
  readonly nodes: readonly Node[];
}

interface WorldOptions {
  readonly lateness?: number;
  readonly callTimeout?: number;
  readonly seed?: number;
  readonly wrap?: (backend: Backend) => Backend;
}

/** Nodes `a`, `b`, … with these handlers, which all know each other. */
async function world(
  handlers: readonly ((name: string) => Module)[],
  options: WorldOptions = {},
): Promise<World> {
  const { lateness = 0, callTimeout = 1000, seed = 1, wrap = (backend): Backend => backend } = options;
  const simulation = createSimulation({ seed, lateness });
  const network = simulation.network();
  const nodes: Node[] = [];
  for (const [index, handler] of handlers.entries()) {
    const node = "abcde"[index]!;
    const app = createMediator({ handlers: handler(node), runtime: simulation.runtime(node) });
    const backend = wrap(network.backend);
    void joinCluster(app, { node, endpoint: `sim:${node}`, backend, callTimeout }).then((joined) =>
      nodes[index] = joined
    );
  }
  await simulation.run(4000);
  expect(nodes.map((node) => node.members().filter(({ status }) => status === "ready").length)).toEqual(
    nodes.map(() => handlers.length),
  );
  return { simulation, network, nodes };
}

/** The outcome of a call; `open` as long as there is none. */
function watch(sending: Promise<{ ok: boolean; error?: { code: string } }>): { outcome: string } {
  const watched = { outcome: "open" };
  void sending.then(({ ok, error }) => watched.outcome = ok ? "ok" : error!.code);
  return watched;
}

const none = (): Module => [];
const never = (): Promise<never> => new Promise(() => {});

describe("silence", () => {
  test("after an event notice does not keep its exchange open for ever", async () => {
    const { simulation, network, nodes } = await world([none, () => on(Happened, () => {})]);
    network.cut("a", "b");
    void nodes[0]!.publish(Happened());
    await simulation.run(60_000);
    expect(network.exchanges().filter(({ since }) => since < simulation.time - 30_000)).toEqual([]);
  });

  test("in place of the end of an exchange does not use up the way to a node", async () => {
    // Replies come, but no exchange ends unless it is aborted.
    const endless = (backend: Backend): Backend => ({
      ...backend,
      open: (host) => {
        const parts = backend.open(host);
        const transport = Object.create(parts.transport) as typeof parts.transport;
        transport.serve = (self, receiver) => parts.transport.serve(self, receiver);
        transport[Symbol.asyncDispose] = () => parts.transport[Symbol.asyncDispose]();
        transport.exchange = (to, frame, reply, options) =>
          new Promise((_, reject) => {
            parts.transport.exchange(to, frame, reply, options).catch(reject);
            options?.signal?.addEventListener("abort", () => reject(options.signal?.reason));
          });
        return { ...parts, transport };
      },
    });
    const { simulation, nodes } = await world([none, () => handle(Find, () => "found")], { wrap: endless });
    const outcomes = new Set<string>();
    for (let count = 0; count < 600; count++) {
      const call = watch(nodes[0]!.send(Find()));
      await simulation.run(20);
      outcomes.add(call.outcome);
    }
    expect([...outcomes]).toEqual(["ok"]);
  });
});

describe("a stream", () => {
  test("whose reader went away behind a cut is not answered for ever", async () => {
    const endless = (): Module =>
      handle(Ticks, async function* () {
        for (let tick = 0;; tick++) yield tick;
      });
    const { simulation, network, nodes } = await world([none, endless]);
    void (async () => {
      for await (const _ of nodes[0]!.stream(Ticks(), { timeout: 1000 }));
    })().catch(() => {});
    await simulation.run(100);
    network.cut("a", "b");
    await simulation.run(60_000);
    expect(nodes[1]!.stats().inFlight).toBe(0);
  });
});

describe("leaving", () => {
  test("leaves no timer behind", async () => {
    const { simulation, nodes } = await world([none, () => handle(Find, () => "found")]);
    void nodes[0]!.send(Find());
    await simulation.run(100);
    for (const node of nodes) void node.leave();
    await simulation.run(4000);
    expect(nodes.map(({ status }) => status)).toEqual(["left", "left"]);
    expect(simulation.pending()).toEqual({ timers: 0, background: 0, exchanges: 0 });
  });
});

describe("a failover to the caller's own node", () => {
  test("keeps the deadline", async () => {
    const { simulation, nodes } = await world([() => handle(Find, never), () => handle(Find, never)]);
    const calls = [1, 2].map(() => watch(nodes[0]!.send(Find(), { timeout: 5000 })));
    await simulation.run(100);
    simulation.crash("b");
    await simulation.run(6000);
    expect(calls.map(({ outcome }) => outcome)).toEqual(["TIMEOUT", "TIMEOUT"]);
  });

  test("does not happen after the deadline", async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const late: number[] = [];
      const own = handle(Find, (_, context) => {
        if (context.deadline < simulation.runtime("a").clock.mono() || context.deadline === Infinity) {
          late.push(seed);
        }
        return never();
      });
      const { simulation, nodes } = await world([() => own, () => handle(Find, never)], {
        lateness: 500,
        seed,
      });
      for (let count = 0; count < 2; count++) void nodes[0]!.send(Find(), { timeout: 1000 });
      await simulation.run(1010);
      simulation.crash("b");
      await simulation.run(1000);
      expect(late).toEqual([]);
    }
  });
});

describe("UNAVAILABLE", () => {
  test("is not the answer to a call that was started", async () => {
    let starts = 0;
    const store = (): Module => handle(Store, () => (starts++, never()));
    const { simulation, nodes } = await world([none, store, store]);
    const call = watch(nodes[0]!.send(Store()));
    await simulation.run(50);
    expect(starts).toBe(1);
    simulation.crash("b");
    simulation.crash("c");
    await simulation.run(2000);
    expect(["TRANSPORT", "TIMEOUT"]).toContain(call.outcome);
  });
});

describe("a stream whose time is up", () => {
  test("gives no further value, though some have come and were not read", async () => {
    const { simulation, nodes } = await world([
      none,
      () =>
        handle(Ticks, async function* () {
          for (let n = 0; n < 60; n++) yield n;
        }),
    ]);
    const { clock } = simulation.runtime("a");
    const began = clock.mono();
    let read = 0;
    let ended: readonly [code: string, after: number] | undefined;
    const slowly = async (): Promise<void> => {
      for await (const _ of nodes[0]!.stream(Ticks(), { timeout: 1000 })) {
        read++;
        await new Promise<void>((resolve) => void clock.timer(100, resolve));
      }
    };
    slowly().catch((thrown: { code: string }) => ended = [thrown.code, clock.mono() - began]);
    await simulation.run(10_000);
    expect(ended?.[0]).toBe("TIMEOUT");
    expect(ended?.[1]).toBeLessThan(1150);
    expect(read).toBeGreaterThan(5);
  });
});
