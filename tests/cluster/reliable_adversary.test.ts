/** What users and their handlers may do to reliable events without harm to the others: odd names, odd ends, odd times. */

import { describe, expect, test } from "bun:test";
import {
  CatgaError,
  command,
  type Context,
  createMediator,
  type Mediator,
  type Module,
  on,
  reliableEvent,
  systemFault,
  type,
  unwrap,
} from "@catga/catga";
import { type Behavior, log, timeout } from "@catga/catga/behaviors";
import { type ClusterOptions, joinCluster, type Node } from "@catga/catga/cluster";
import { deadLetters } from "@catga/catga/durable";
import { memory, memoryStorage } from "@catga/catga/memory";
import {
  type Backend,
  type Queue,
  type Runtime,
  type Storage,
  systemRuntime,
  withStorage,
} from "@catga/catga/ports";

const timing = { heartbeat: 20, timeout: 100 };
const quick = { attempts: 2, redeliver: [10] };
const key = (body: string): string => body.slice(0, 1);
const Told = reliableEvent("told", { data: type<string>(), key, delivery: quick });
const Hurried = reliableEvent("hurried", { data: type<string>(), key, delivery: quick, timeout: 30 });
const Once = reliableEvent("once", { data: type<string>(), delivery: { ...quick, qos: 2, window: 1 } });
const Everywhere = reliableEvent("everywhere", {
  data: type<string>(),
  delivery: { ...quick, qos: 2, to: "nodes" },
});

describe("the group of a handler", () => {
  test.each([
    ["x".repeat(256), "shop", "256"],
    ["\ud800", "shop", "Unicode"],
    ["h", "", "service"],
    ["c", "a/b", "service"],
  ])("has to fit into a queue: %j of %j", async (name, service, why) => {
    const cluster = new Cluster();
    const refused = await cluster.join("a", [on(Told, () => {}, { name })], { service })
      .catch((thrown) => thrown);
    expect(refused).toMatchObject({ code: "CONFLICT" });
    expect(String(refused)).toContain(why);
    await cluster.leave();
  });

  test("takes any other name as it is", async () => {
    const cluster = new Cluster();
    const names = ["a/b", "a b", "ä*>.$\0", "@n", "__proto__", "constructor", ""];
    const heard: string[] = [];
    await cluster.join("a", names.map((name) => on(Told, () => void heard.push(name), { name })));
    expect(await cluster.node("a").publish(Told("1"))).toMatchObject({ ok: true });
    await until(() => heard.length === names.length);
    expect(heard.toSorted()).toEqual(names.toSorted());
    await cluster.leave();
  });
});

describe("an event", () => {
  test("whose id reads like a replay of another is refused, since no handler would take it", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    await cluster.join("a", [on(Told, (body) => void heard.push(body), { name: "h" })]);
    const node = cluster.node("a");
    expect(await node.publish(Told("1"), { id: "7~replay.1.a.b" })).toMatchObject({
      error: { code: "VALIDATION" },
    });
    expect(await node.publish(Told("2"), { id: "7~replay" })).toMatchObject({ ok: true });
    await until(() => heard.length > 0);
    expect(heard).toEqual(["2"]);
    await cluster.leave();
  });

  test("of QoS 2 is known again for as long as its queue may hand it out once more, however short its window", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    let lost = true;
    cluster.deliveries((delivery) => {
      const ack = delivery.ack.bind(delivery);
      delivery.ack = () => {
        if (!lost) return ack();
        lost = false;
        return Promise.reject(new CatgaError(systemFault("CONFLICT", "its lease is over")));
      };
    });
    await cluster.join("a", [on(Once, (body) => void heard.push(body), { name: "h" })], {
      deliveries: { lease: 300 },
    });
    await cluster.node("a").publish(Once("1"));
    await until(() => cluster.node("a").inspect().deliveries[0]!.repeated === 1);
    expect(heard).toEqual(["1"]);
    await cluster.leave();
  });

  test("of QoS 2 for every node is handled once by each, also when it comes again", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    for (const node of ["a", "b.c:d"]) {
      await cluster.join(node, [on(Everywhere, () => void heard.push(node), { name: "h" })]);
    }
    const { push } = cluster;
    const pushed: Parameters<Queue["push"]>[1][number][] = [];
    cluster.storage.queue.push = (topic, items, options) => {
      pushed.push(...items);
      return push(topic, items, options);
    };
    await cluster.node("a").publish(Everywhere("1"));
    await until(() => heard.length === 2);
    await push("everywhere", [{ ...pushed[0]!, id: "again" }]);
    const repeated = (node: string) => cluster.node(node).inspect().deliveries[0]!.repeated;
    await until(() => repeated("a") + repeated("b.c:d") === 2);
    expect(heard.toSorted()).toEqual(["a", "b.c:d"]);
    await cluster.leave();
  });

  test.each<[string, (context: Context) => unknown]>([
    ["throws nothing", () => {
      throw undefined;
    }],
    ["throws null", () => {
      throw null;
    }],
    ["throws a text", () => {
      throw "no";
    }],
    ["rejects with a text", () => Promise.reject("no")],
    ["answers a broken thenable", () => ({
      get then() {
        throw new Error("no");
      },
    })],
    ["answers a thenable that says both", () => ({
      then: (yes: () => void, no: (why: string) => void) => {
        no("no");
        yes();
        throw new Error("no");
      },
    })],
    ["throws what cannot be shown", () => {
      throw Object.create(null);
    }],
    ["passes on that an answer could not be read", () => {
      throw new CatgaError(systemFault("SERIALIZATION", "odd"));
    }],
    ["passes on that nobody serves what it calls", async (context) => {
      const Missing = command("missing", { input: type<void>(), output: type<void>() });
      unwrap(await context.send(Missing()));
    }],
    ["passes on that its call does not fit", () => {
      throw new CatgaError(systemFault("VALIDATION", "odd"));
    }],
  ])("whose handler %s is tried as often as it should be", async (_what, fails) => {
    for (const behaviors of [[], [log()]]) {
      const cluster = new Cluster();
      let tries = 0;
      const hears = on(Told, (_body, context) => {
        tries++;
        return fails(context) as Promise<void>;
      }, { name: "h", behaviors });
      await cluster.join("a", [hears]);
      await cluster.node("a").publish(Told("1"));
      await until(() => cluster.node("a").inspect().deliveries[0]!.buried === 1);
      expect(tries).toBe(4);
      await cluster.leave();
    }
  });

  test.each<[string, unknown]>([["nothing", undefined], ["null", null], ["a number", 0], ["false", false]])(
    "whose handler answers %s is done",
    async (_what, answer) => {
      const cluster = new Cluster();
      await cluster.join("a", [on(Told, () => answer as void, { name: "h" })]);
      await cluster.node("a").publish(Told("1"));
      await until(() => cluster.node("a").inspect().deliveries[0]!.handled === 1);
      await cluster.leave();
    },
  );

  test.each<[string, readonly Behavior[], typeof Told | typeof Hurried]>([
    ["its time", [], Hurried],
    ["its time within layers", [log()], Hurried],
    ["the time of a layer", [timeout(30)], Told],
  ])(
    "whose handler outlives %s is not handled beside itself, nor is the next of its key",
    async (_what, behaviors, contract) => {
      const cluster = new Cluster();
      let [working, most] = [0, 0];
      const heard: string[] = [];
      const hears = on(contract, async (body) => {
        most = Math.max(most, ++working);
        await new Promise((resolve) => setTimeout(resolve, heard.length < 2 ? 120 : 1));
        working--;
        heard.push(body);
      }, { name: "h", behaviors });
      await cluster.join("a", [hears]);
      for (const body of ["a1", "a2"]) await cluster.node("a").publish(contract(body));
      await until(() => cluster.node("a").inspect().deliveries[0]!.handled === 2);
      expect([most, heard]).toEqual([1, ["a1", "a1", "a1", "a2"]]);
      await cluster.leave();
    },
  );

  test("that a handler publishes after its time is not told", async () => {
    const cluster = new Cluster();
    const codes: unknown[] = [];
    const heard: string[] = [];
    const hears = on(Hurried, async (_body, context) => {
      if (codes.length > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 60));
      const result = await context.publish(Told("late"));
      codes.push(result.ok ? "ok" : result.error.code);
    }, { name: "h" });
    await cluster.join("a", [hears, on(Told, (body) => void heard.push(body), { name: "t" })]);
    await cluster.node("a").publish(Hurried("1"));
    await until(() => cluster.stats("a").hurried?.handled === 1);
    expect([codes, heard]).toEqual([["CANCELLED"], []]);
    await cluster.leave();
  });
});

describe("a node", () => {
  test("that has left keeps no timer, and hears nothing more", async () => {
    const cluster = new Cluster();
    const timers = new Set<object>();
    const runtime = counting(timers);
    const heard: string[] = [];
    await cluster.join("a", [
      on(Told, (body) => {
        heard.push(body);
        if (body.startsWith("x")) throw new Error("no");
      }, { name: "h" }),
      on(Everywhere, () => {}, { name: "h" }),
    ], { runtime });
    for (const body of ["a", "x", "b"]) await cluster.node("a").publish(Told(body));
    await until(() => heard.length > 3);
    await cluster.leave();
    const before = heard.length;
    const { queue } = cluster.storage;
    await queue.push("told", [{ id: "after", payload: '[1,"parcel",["told","after",-1,"z"]]' }]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([heard.length, timers.size]).toEqual([before, 0]);
  });

  test("that leaves while its queue never answers leaves all the same, at once", async () => {
    const cluster = new Cluster();
    const { queue } = cluster.storage;
    await cluster.join("a", [on(Told, () => {}, { name: "h" })]);
    const timers = new Set<object>();
    queue.pull = () => new Promise(() => {});
    await cluster.join("b", [on(Told, () => {}, { name: "h" })], {
      drain: 3_600_000,
      runtime: counting(timers),
    });
    await cluster.node("b").leave();
    expect(timers.size).toBe(0);
    await cluster.node("a").leave();
  });

  test("may be joined twice by one mediator: each event is handled once", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    const app = mediator([on(Told, (body) => void heard.push(body), { name: "h" })]);
    await cluster.joinBy(app, "a");
    await cluster.joinBy(app, "b");
    const bodies = Array.from({ length: 100 }, (_, at) => `${at}`);
    for (const body of bodies) await cluster.node("a").publish(Told(body));
    await until(() => heard.length >= bodies.length);
    await cluster.node("a").leave();
    await cluster.node("b").publish(Told("last"));
    await until(() => heard.includes("last"));
    expect(heard.toSorted()).toEqual([...bodies, "last"].toSorted());
    await cluster.leave();
  });

  test("hears hundreds of events, each by its own handler", async () => {
    const cluster = new Cluster();
    const heard = new Set<string>();
    const contracts = Array.from(
      { length: 300 },
      (_, at) => reliableEvent(`many.e${at}`, { data: type<void>() }),
    );
    await cluster.join(
      "a",
      contracts.map((each) => on(each, () => void heard.add(each.type), { name: "h" })),
    );
    await Promise.all(contracts.map((each) => cluster.node("a").publish(each())));
    await until(() => heard.size === contracts.length);
    await cluster.leave();
  });

  test("of another version, which tries less often, buries what the older one put back", async () => {
    const cluster = new Cluster();
    const Older = reliableEvent("versioned", {
      data: type<string>(),
      delivery: { attempts: 1, redeliver: [1, 1] },
    });
    const Newer = reliableEvent("versioned", {
      data: type<string>(),
      delivery: { attempts: 1, redeliver: [] },
    });
    const fails = (): never => {
      throw new Error("no");
    };
    await cluster.join("a", [on(Older, fails, { name: "h" })]);
    await cluster.join("b", [on(Newer, fails, { name: "h" })]);
    for (let at = 0; at < 40; at++) await cluster.node("a").publish(Older(`${at}`));
    const letters = deadLetters(cluster.storage.store!, { runtime: systemRuntime() });
    const buried = () => cluster.stats("a").versioned!.buried + cluster.stats("b").versioned!.buried;
    await until(() => buried() >= 40);
    expect([buried(), (await letters.list()).total]).toEqual([40, 40]);
    await cluster.leave();
  });
});

const quiet = (): Runtime => ({ ...systemRuntime(), log: () => {} });

function mediator(handlers: Module, runtime: Runtime = quiet()): Mediator {
  return createMediator({ handlers, runtime });
}

/** A runtime that tells which of its timers are still to come. */
function counting(timers: Set<object>): Runtime {
  const runtime = quiet();
  const { clock } = runtime;
  return {
    ...runtime,
    clock: {
      mono: () => clock.mono(),
      wall: () => clock.wall(),
      timer: (ms, run) => {
        const timer = {};
        timers.add(timer);
        const stop = clock.timer(ms, () => {
          timers.delete(timer);
          run();
        });
        return () => {
          timers.delete(timer);
          stop();
        };
      },
    },
  };
}

/** Nodes that share a storage. */
class Cluster {
  readonly storage = memoryStorage() as Storage & { queue: Queue };
  readonly push: Queue["push"] = this.storage.queue.push.bind(this.storage.queue);
  readonly #backend: Backend = withStorage(memory(), this.storage);
  readonly #nodes: Map<string, Node> = new Map();

  /** Does something to each delivery before its taker has it. */
  deliveries(change: (delivery: { ack(): Promise<void> }) => void): void {
    const { queue } = this.storage;
    const pull = queue.pull.bind(queue);
    queue.pull = async (...args) => {
      const deliveries = await pull(...args);
      deliveries.forEach(change);
      return deliveries;
    };
  }

  join(
    node: string,
    handlers: Module,
    { runtime, ...options }: Partial<ClusterOptions> & { readonly runtime?: Runtime } = {},
  ): Promise<void> {
    return this.joinBy(mediator(handlers, runtime), node, options);
  }

  async joinBy(app: Mediator, node: string, options: Partial<ClusterOptions> = {}): Promise<void> {
    const own = {
      node,
      endpoint: `memory:${node}`,
      backend: this.#backend,
      timing,
      service: "shop",
      unsafe: true,
    };
    this.#nodes.set(node, await joinCluster(app, { ...own, ...options }));
  }

  node(name: string): Node {
    return this.#nodes.get(name)!;
  }

  stats(name: string): Readonly<Record<string, { readonly handled: number; readonly buried: number }>> {
    return Object.fromEntries(this.node(name).inspect().deliveries.map((each) => [each.topic, each]));
  }

  async leave(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.leave()));
  }
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not come to that: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
