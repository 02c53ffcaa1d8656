/** Reliable events between nodes: who hears them, how often, in which order, and what becomes of those nobody can handle. */

import { describe, expect, test } from "bun:test";
import {
  CatgaError,
  createMediator,
  event,
  type Module,
  on,
  reliableEvent,
  systemFault,
  type,
} from "@catga/catga";
import { type ClusterOptions, joinCluster, type Node } from "@catga/catga/cluster";
import { deadLetters } from "@catga/catga/durable";
import { memory, memoryStorage } from "@catga/catga/memory";
import { type Backend, type Queue, systemRuntime, withStorage } from "@catga/catga/ports";

const timing = { heartbeat: 20, timeout: 100 };
const quick = { attempts: 2, redeliver: [10] };
const Paid = reliableEvent("paid", {
  data: type<string>(),
  key: (body) => body.slice(0, 1),
  delivery: quick,
});
const Once = reliableEvent("once", { data: type<string>(), delivery: { ...quick, qos: 2 } });
const Priced = reliableEvent("priced", { data: type<string>(), delivery: { to: "nodes" } });

describe("a reliable event", () => {
  test("goes to one node of each service, and to each handler on its own", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    const hears = (who: string) => on(Paid, (body) => void heard.push(`${who} ${body}`), { name: "count" });
    for (const node of ["a", "b"]) await cluster.join(node, "shop", [hears(node)]);
    const mail = on(Paid, () => void heard.push("mail"), { name: "mail" });
    const tax = on(Paid, () => void heard.push("tax"), { name: "tax" });
    await cluster.join("c", "post", [mail, tax]);
    for (const body of ["1", "2", "3", "4"]) {
      expect(await cluster.node("a").publish(Paid(body))).toMatchObject({ ok: true });
    }
    await until(() => heard.length === 12);
    expect(heard.filter((each) => each === "mail")).toHaveLength(4);
    expect(heard.filter((each) => each === "tax")).toHaveLength(4);
    expect(heard.map((each) => each.slice(2)).filter((each) => "1234".includes(each)).toSorted()).toEqual([
      "1",
      "2",
      "3",
      "4",
    ]);
    await cluster.leave();
  });

  test("goes to every node where its contract says so", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    for (const node of ["a", "b", "c"]) {
      await cluster.join(node, "shop", [on(Priced, () => void heard.push(node))]);
    }
    await cluster.node("b").publish(Priced("x"));
    await until(() => heard.length === 3);
    expect(heard.toSorted()).toEqual(["a", "b", "c"]);
    await cluster.leave();
  });

  test("keeps its id, its headers and what caused it", async () => {
    const cluster = new Cluster();
    const Seen = event("seen", { data: type<void>() });
    const heard: unknown[] = [];
    const hears = on(Paid, (_body, context) => {
      heard.push(context.headers, context.delivery, context.correlationId === context.id);
      return context.publish(Seen()).then(() => {});
    }, { name: "log" });
    await cluster.join("a", "shop", [hears, on(Seen, (_body, context) => void heard.push(context.headers))]);
    await cluster.node("a").publish(Paid("1"), { headers: { tenant: "t" } });
    await until(() => heard.length === 4);
    expect(heard).toEqual([{ tenant: "t" }, { group: "shop/log", attempt: 1 }, true, { tenant: "t" }]);
    await cluster.leave();
  });

  test("that one handler cannot handle is tried, put back and kept as a dead letter; the others hear it once", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    const bad = on(Paid, (body) => {
      heard.push(`bad ${body}`);
      if (body === "a1") throw new Error("it breaks");
    }, { name: "bad" });
    const good = on(Paid, (body) => void heard.push(`good ${body}`), { name: "good" });
    await cluster.join("a", "shop", [bad, good]);
    for (const body of ["a1", "a2", "b1"]) await cluster.node("a").publish(Paid(body));
    const stats = () =>
      cluster.node("a").inspect().deliveries.map(({ group, handled, buried }) => [group, handled, buried]);
    await until(() => stats()[0]![2] === 1 && stats()[0]![1] === 2);
    expect(heard.filter((each) => each === "bad a1")).toHaveLength(4);
    expect(heard.filter((each) => each.startsWith("good")).toSorted()).toEqual([
      "good a1",
      "good a2",
      "good b1",
    ]);
    expect(heard.indexOf("bad a2")).toBeGreaterThan(heard.lastIndexOf("bad a1"));
    expect(stats()).toEqual([["shop/bad", 2, 1], ["shop/good", 3, 0]]);
    await cluster.leave();
  });

  test("of processes that were killed has all its redeliveries still, and says how often it failed (G8, F30)", async () => {
    const cluster = new Cluster();
    await cluster.join("a", "shop", []);
    const { queue, store } = cluster.storage;
    await queue!.subscribe(Paid.type, "shop/odd");
    await cluster.node("a").publish(Paid("1"));
    // What a process had that was killed comes to others once its lease is over.
    for (let kills = 0; kills < 2; kills++) {
      expect(await queue!.pull(Paid.type, "shop/odd", { max: 1, lease: 5, wait: 1000 })).toHaveLength(1);
    }
    const tried: number[] = [];
    await cluster.join("b", "shop", [
      on(Paid, (_body, { delivery }) => {
        tried.push(delivery!.attempt);
        throw new Error("no");
      }, { name: "odd" }),
    ]);
    const letters = deadLetters(store!, { runtime: systemRuntime() });
    await until(() => cluster.node("b").inspect().deliveries[0]!.buried === 1);
    expect(tried).toEqual([3, 3, 4, 4]);
    expect((await letters.list()).letters).toMatchObject([{ attempts: 2, handedOut: 4, code: "INTERNAL" }]);
    await cluster.leave();
  });

  test("is replayed to the handler whose dead letter it was, and to no other", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    let broken = true;
    const bad = on(Paid, () => {
      if (broken) throw new Error("it breaks");
      heard.push("bad");
    }, { name: "bad" });
    await cluster.join("a", "shop", [bad, on(Paid, () => void heard.push("good"), { name: "good" })]);
    await cluster.node("a").publish(Paid("a1"), { headers: { tenant: "t" } });
    const letters = deadLetters(cluster.storage.store, { runtime: systemRuntime() });
    await until(() => cluster.node("a").inspect().deliveries[0]!.buried === 1);
    const { letters: [letter], total } = await letters.list({ topic: "paid" });
    expect([total, letter]).toMatchObject([1, {
      group: "shop/bad",
      key: "a",
      attempts: 2,
      code: "INTERNAL",
    }]);
    const opened = await letters.show(letter!.name);
    expect(opened?.content).toMatchObject({ type: "paid", body: "a1", headers: { tenant: "t" } });
    broken = false;
    expect(await letters.replay([letter!.name], { queue: cluster.storage.queue })).toBe(1);
    await until(() => heard.length === 2);
    await until(() => cluster.node("a").inspect().deliveries[1]!.repeated === 1);
    expect([heard, (await letters.list()).total]).toEqual([["good", "bad"], 0]);
    await cluster.leave();
  });

  test("that is published again under its id is kept once", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    await cluster.join("a", "shop", [
      on(Paid, (body, { id }) => void heard.push(`${id} ${body}`), { name: "h" }),
    ]);
    for (const body of ["1", "1", "2"]) {
      expect(await cluster.node("a").publish(Paid(body), { id: `paid-${body}` })).toMatchObject({ ok: true });
    }
    await until(() => heard.length === 2);
    expect(heard.toSorted()).toEqual(["paid-1 1", "paid-2 2"]);
    await cluster.leave();
  });

  test("of QoS 2 that comes again is not handled again", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    await cluster.join("a", "shop", [on(Once, (body) => void heard.push(body), { name: "h" })]);
    const { queue } = cluster.storage;
    const pushed: Parameters<Queue["push"]>[1][number][] = [];
    const push = queue.push.bind(queue);
    queue.push = (topic, items) => {
      pushed.push(...items);
      return push(topic, items);
    };
    await cluster.node("a").publish(Once("1"));
    await until(() => heard.length === 1);
    await push("once", [{ ...pushed[0]!, id: "again" }]);
    await push("once", [{ id: "other", payload: '[1,"parcel",["once","other",-1,"2"]]' }]);
    await until(() =>
      cluster.node("a").inspect().deliveries[0]!.handled +
          cluster.node("a").inspect().deliveries[0]!.repeated === 3
    );
    expect([heard, cluster.node("a").inspect().deliveries[0]!.repeated]).toEqual([["1", "2"], 1]);
    await cluster.leave();
  });

  test("nobody can read is a dead letter", async () => {
    const cluster = new Cluster();
    await cluster.join("a", "shop", [on(Paid, () => {}, { name: "h" })]);
    const { queue } = cluster.storage;
    const odd = ["", "{", '[1,"parcel",["other","x",-1]]', '[9,"parcel",[]]', new Uint8Array([255, 0])];
    await queue.push("paid", odd.map((payload, at) => ({ id: `odd-${at}`, payload })));
    await until(() => cluster.node("a").inspect().deliveries[0]!.buried === odd.length);
    await cluster.leave();
  });

  test("is published once its queue has it, however often that takes, and not at all without one", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    await cluster.join("a", "shop", [on(Paid, (body) => void heard.push(body), { name: "h" })]);
    const { queue } = cluster.storage;
    const push = queue.push.bind(queue);
    let tries = 0;
    queue.push = async (topic, items) => {
      if (++tries % 2 === 1) await push(topic, items);
      if (tries < 4) throw new CatgaError(systemFault("TRANSPORT", "lost"));
      return push(topic, items);
    };
    expect(await cluster.node("a").publish(Paid("1"))).toMatchObject({ ok: true });
    await until(() => heard.length > 0);
    queue.push = () => Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away")));
    expect(await cluster.node("a").publish(Paid("2"), { timeout: 50 })).toMatchObject({
      error: { code: "TIMEOUT" },
    });
    queue.push = () => new Promise(() => {});
    expect(await cluster.node("a").publish(Paid("3"), { timeout: 20 })).toMatchObject({
      error: { code: "TIMEOUT" },
    });
    const given = new AbortController();
    const published = cluster.node("a").publish(Paid("4"), { signal: given.signal });
    given.abort();
    expect(await published).toMatchObject({ error: { code: "CANCELLED" } });
    expect([heard, tries]).toEqual([["1"], 4]);
    queue.push = push;
    await cluster.leave();
  });

  test("that is being handled when its node leaves is finished there, and the rest elsewhere", async () => {
    const cluster = new Cluster();
    const heard: string[] = [];
    const slow = (who: string) =>
      on(Paid, async (body) => {
        await new Promise((resolve) => setTimeout(resolve, 30));
        heard.push(`${who} ${body}`);
      }, { name: "h" });
    for (const node of ["a", "b"]) await cluster.join(node, "shop", [slow(node)]);
    const bodies = Array.from({ length: 200 }, (_, at) => `${at % 10}-${at}`);
    await Promise.all(bodies.map((body) => cluster.node("b").publish(Paid(body))));
    await until(() => heard.some((each) => each.startsWith("a")));
    await cluster.node("a").leave();
    await until(() => heard.length === bodies.length);
    const byKey = Map.groupBy(heard.map((each) => each.slice(2)), (body) => body[0]!);
    for (const [key, those] of byKey) expect(those).toEqual(bodies.filter((body) => body.startsWith(key)));
    await cluster.leave();
  });
});

describe("a node that hears reliable events", () => {
  test.each<[string, Partial<ClusterOptions>, Module]>([
    ["its service", { service: undefined as never }, [on(Paid, () => {}, { name: "h" })]],
    ["one of two names", {}, [on(Paid, () => {}, { name: "h" }), on(Paid, () => {}, { name: "h" })]],
  ])("has to say %s", async (_what, options, handlers) => {
    const cluster = new Cluster();
    const refused = await cluster.join("a", "shop", handlers, options).catch((thrown) => thrown);
    expect(refused).toMatchObject({ code: "CONFLICT" });
    expect(String(refused)).toContain('Cannot hear "paid"');
  });

  test("is refused over a queue that keeps less than its contract asks", async () => {
    const cluster = new Cluster();
    cluster.storage.queue = { ...cluster.storage.queue, ordered: false };
    const refused = await cluster.join("a", "shop", [on(Paid, () => {}, { name: "h" })]).catch(String);
    expect(refused).toContain("keeps no order");
  });
});

describe("a backend that loses events", () => {
  test.each<[string, Partial<Cluster["storage"]>, string]>([
    ["keeps nothing", {}, "memory keeps nothing"],
    ["has no queue", { durability: "process", queue: undefined as never }, "memory has no queue"],
    ["has no store", { durability: "process", store: undefined as never }, "memory has no store"],
  ])("since it %s is told nothing, and has no hearer", async (_what, parts, why) => {
    const cluster = new Cluster();
    Object.assign(cluster.storage, parts);
    const hearer = [on(Paid, () => {}, { name: "h" })];
    const refused = await cluster.join("a", "shop", hearer, { unsafe: false }).catch((thrown) => thrown);
    expect(refused).toMatchObject({ code: "CONFLICT" });
    expect(String(refused)).toContain(why);
    await cluster.join("b", "shop", [], { unsafe: false });
    const told = await cluster.node("b").publish(Paid("1"));
    expect(told).toMatchObject({ ok: false, error: { code: "CONFLICT" } });
    await cluster.leave();
  });
});

/** Nodes that share a storage. */
class Cluster {
  readonly storage = { ...memoryStorage() };
  readonly #backend: Backend = withStorage(memory(), this.storage);
  readonly #nodes: Map<string, Node> = new Map();

  async join(
    node: string,
    service: string,
    handlers: Module,
    options: Partial<ClusterOptions> = {},
  ): Promise<void> {
    const app = createMediator({ handlers, runtime: { ...systemRuntime(), log: () => {} } });
    const own = { node, endpoint: `memory:${node}`, backend: this.#backend, timing, service, unsafe: true };
    this.#nodes.set(node, await joinCluster(app, { ...own, ...options }));
  }

  node(name: string): Node {
    return this.#nodes.get(name)!;
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
