/** Events that go to other clusters: what arrives, how often, in which order, and what happens while one is away. */

import { describe, expect, test } from "bun:test";
import { CatgaError, createMediator, on, reliableEvent, systemFault, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import {
  deadLetters,
  type Replication,
  type ReplicationOptions,
  startReplication,
} from "@catga/catga/durable";
import { memory, memoryStorage } from "@catga/catga/memory";
import { type Queue, systemRuntime, withStorage } from "@catga/catga/ports";
import { comeThrough, routeOf } from "../../src/durable/replication_route.ts";
import { json } from "../../src/wire/json.ts";
import { encodeParcel, type Parcel } from "../../src/wire/parcel.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

const TOPIC = "orders.paid";
const parcelOf = (id: string, headers?: Record<string, string>): Parcel => ({
  type: TOPIC,
  id,
  body: { order: id.slice(0, 1) },
  correlationId: undefined,
  causationId: undefined,
  headers,
});

/** Queues of clusters, each with a group that hears all, and a way to cut them off. */
function world(...names: readonly string[]): World {
  const runtime = fakeRuntime();
  const storages = new Map(names.map((name) => [name, memoryStorage(runtime.clock)]));
  const away = new Set<string>();
  const pushes: string[] = [];
  const wayTo = (name: string): Pick<Queue, "push"> => ({
    push: async (topic, items, options) => {
      for (const { id } of items) pushes.push(`${name} ${id}`);
      const cut = away.has(name) || items.some(({ id }) => away.has(`${name} ${id}`));
      if (cut) throw new CatgaError(systemFault("UNAVAILABLE", `${name} is away`));
      if (away.has(`${name} room`)) throw new CatgaError(systemFault("OVERLOADED", `${name} is full`));
      await storages.get(name)!.queue.push(topic, items, options);
      if (away.has(`${name} answers`)) throw new CatgaError(systemFault("TRANSPORT", "no answer came"));
    },
  });
  const open: Replication[] = [];
  return {
    runtime,
    away,
    pushes,
    storage: (name) => storages.get(name)!,
    replicate: async (cluster, targets, options = {}) => {
      const replication = await startReplication({
        cluster,
        events: [TOPIC],
        from: storages.get(cluster)!,
        to: Object.fromEntries(targets.map((name) => [name, wayTo(name)])),
        runtime,
        ...options,
      });
      open.push(replication);
      await runtime.advance(0);
      return replication;
    },
    publish: async (cluster, ...ids) => {
      const items = ids.map((id) => ({ id, key: id.slice(0, 1), payload: encodeParcel(json, parcelOf(id)) }));
      await storages.get(cluster)!.queue.push(TOPIC, items);
      await runtime.advance(1);
    },
    hear: (cluster) => storages.get(cluster)!.queue.subscribe(TOPIC, "test"),
    heard: async (cluster) => {
      const ids: string[] = [];
      for (;;) {
        const due = await storages.get(cluster)!.queue.pull(TOPIC, "test", { max: 100, lease: 1e6 });
        if (due.length === 0) return ids;
        for (const delivery of due) {
          if (delivery.key !== delivery.id.slice(0, 1)) throw new Error(`"${delivery.id}" lost its key`);
          ids.push(delivery.id);
          await delivery.ack();
        }
      }
    },
    [Symbol.asyncDispose]: async () => {
      const stopping = Promise.all(open.map((each) => each[Symbol.asyncDispose]()));
      await runtime.advance(1000);
      await stopping;
    },
  };
}

interface World extends AsyncDisposable {
  readonly runtime: FakeRuntime;
  /** Clusters that are away; `eu answers` for one that takes and does not answer, `eu room` for one that is full, `eu 1`. */
  readonly away: Set<string>;
  readonly pushes: readonly string[];
  storage(name: string): ReturnType<typeof memoryStorage>;
  replicate(
    cluster: string,
    targets: readonly string[],
    options?: Partial<ReplicationOptions>,
  ): Promise<Replication>;
  publish(cluster: string, ...ids: readonly string[]): Promise<void>;
  hear(cluster: string): Promise<void>;
  heard(cluster: string): Promise<string[]>;
}

describe("replication", () => {
  test("brings what is published to each cluster, in the order of keys, under its own id", async () => {
    await using at = world("eu", "us", "asia");
    for (const name of ["eu", "us", "asia"]) await at.hear(name);
    const replication = await at.replicate("eu", ["us", "asia"]);
    const ids = Array.from({ length: 60 }, (_, n) => `${"abc"[n % 3]}${n}`);
    await at.publish("eu", ...ids);
    const waiting = async (): Promise<boolean> => (await replication.lag()).some(({ items }) => items > 0);
    for (let steps = 0; steps < 100 && await waiting(); steps++) await at.runtime.advance(1000);
    for (const name of ["us", "asia"]) {
      const heard = await at.heard(name);
      expect([...heard].sort()).toEqual([...ids].sort());
      for (const key of "abc") {
        const of = (list: readonly string[]): string[] => list.filter((id) => id.startsWith(key));
        expect(of(heard)).toEqual(of(ids));
      }
    }
    expect(await at.heard("eu")).toEqual(ids);
    expect(replication.stats()).toEqual(
      ["us", "asia"].map((cluster) => ({ cluster, sent: 60, passed: 0, buried: 0, stalled: 0 })),
    );
  });

  test("does not go in circles: of three clusters that all replicate to all, each hears an event once", async () => {
    await using at = world("eu", "us", "asia");
    const names = ["eu", "us", "asia"];
    for (const name of names) await at.hear(name);
    for (const name of names) await at.replicate(name, names.filter((other) => other !== name));
    await at.publish("eu", "a1", "a2");
    await at.publish("asia", "b1");
    await at.runtime.advance(60_000);
    for (const name of names) expect((await at.heard(name)).sort()).toEqual(["a1", "a2", "b1"]);
    // Each event goes from where it began to both others, and from each of these to the other one.
    expect(at.pushes.length).toBe(3 * 4);
    for (const name of names) {
      for (const target of names.filter((other) => other !== name)) {
        expect((await at.storage(name).queue.backlog(TOPIC, `/replicate/${target}`)).items).toBe(0);
      }
    }
  });

  test("goes on in a chain, and stops where it began", async () => {
    await using at = world("a", "b", "c");
    for (const name of ["a", "b", "c"]) await at.hear(name);
    await at.replicate("a", ["b"]);
    await at.replicate("b", ["c"]);
    const last = await at.replicate("c", ["a"]);
    await at.publish("a", "x1");
    await at.runtime.advance(60_000);
    for (const name of ["a", "b", "c"]) expect(await at.heard(name)).toEqual(["x1"]);
    expect(at.pushes).toEqual(["b x1", "c x1"]);
    expect(last.stats()).toMatchObject([{ sent: 0, passed: 1 }]);
  });

  test("waits for a cluster that is away, shows how far it is behind, and is up to date when it is back", async () => {
    await using at = world("eu", "us", "asia");
    for (const name of ["us", "asia"]) await at.hear(name);
    const replication = await at.replicate("eu", ["us", "asia"], { concurrency: 4, lease: 3000 });
    at.away.add("us");
    for (let n = 0; n < 20; n++) await at.publish("eu", `${n % 5} ${n}`);
    await at.runtime.advance(3_600_000);
    expect((await at.heard("asia")).length).toBe(20);
    const [us, asia] = await replication.lag();
    expect(asia).toEqual({ cluster: "asia", event: TOPIC, items: 0, age: 0 });
    expect(us).toMatchObject({ cluster: "us", event: TOPIC, items: 20 });
    expect(us!.age).toBeGreaterThanOrEqual(3_600_000);
    expect(replication.stats()[0]!.stalled).toBeGreaterThan(3_590_000);
    expect(at.runtime.entries.filter(({ event }) => event === "replication.stalled").length).toBe(1);
    at.away.delete("us");
    await at.runtime.advance(20_000);
    const heard = await at.heard("us");
    expect(heard.length).toBe(20);
    for (let key = 0; key < 5; key++) {
      const of = heard.filter((id) => id.startsWith(`${key} `)).map((id) => Number(id.slice(2)));
      expect(of).toEqual([...of].sort((a, b) => a - b));
    }
    expect((await replication.lag())[0]).toMatchObject({ items: 0, age: 0 });
    expect(replication.stats()[0]).toMatchObject({ sent: 20, buried: 0, stalled: 0 });
  });

  test("is known again where its answers are lost", async () => {
    await using at = world("eu", "us");
    await at.hear("us");
    await at.replicate("eu", ["us"]);
    at.away.add("us answers");
    await at.publish("eu", "a1");
    await at.runtime.advance(10_000);
    at.away.delete("us answers");
    await at.runtime.advance(10_000);
    expect(at.pushes.length).toBeGreaterThan(2);
    expect(await at.heard("us")).toEqual(["a1"]);
  });

  test("waits for one that has no room, and no longer than that", async () => {
    await using at = world("eu", "us");
    await at.hear("us");
    await at.replicate("eu", ["us"]);
    at.away.add("us room");
    await at.publish("eu", "a1", "a2");
    await at.runtime.advance(3_600_000);
    at.away.delete("us room");
    await at.runtime.advance(15_000);
    expect(await at.heard("us")).toEqual(["a1", "a2"]);
  });

  test("is not said to stand still while something arrives", async () => {
    await using at = world("eu", "us");
    await at.hear("us");
    const replication = await at.replicate("eu", ["us"]);
    at.away.add("us a1");
    await at.publish("eu", "a1");
    for (let n = 0; n < 30; n++) {
      await at.publish("eu", `b${n}`);
      await at.runtime.advance(1000);
    }
    expect((await at.heard("us")).length).toBe(30);
    expect(replication.stats()[0]!.stalled).toBeLessThan(5000);
    expect(at.runtime.entries.map(({ event }) => event)).not.toContain("replication.stalled");
    await at.runtime.advance(10_000);
    expect(at.runtime.entries.map(({ event }) => event)).toContain("replication.stalled");
  });

  test("is gone on with by another process, also while a cluster is away", async () => {
    await using at = world("eu", "us");
    await at.hear("us");
    at.away.add("us");
    const first = await at.replicate("eu", ["us"], { lease: 3000 });
    await at.publish("eu", "a1", "a2", "b1");
    const stopping = first[Symbol.asyncDispose]();
    await at.runtime.advance(1000);
    await stopping;
    await at.replicate("eu", ["us"], { lease: 3000 });
    at.away.delete("us");
    await at.runtime.advance(30_000);
    expect((await at.heard("us")).sort()).toEqual(["a1", "a2", "b1"]);
  });

  test("keeps what a cluster will never take, or what nobody can read, as dead letters", async () => {
    await using at = world("eu", "us");
    await at.hear("us");
    const replication = await at.replicate("eu", ["us"]);
    await at.storage("eu").queue.push(TOPIC, [{ id: "rubbish", payload: "rubbish" }]);
    const large = encodeParcel(json, { ...parcelOf("large"), body: "" });
    const filled = { ...parcelOf("large"), body: "x".repeat(262_144 - large.length) };
    await at.storage("eu").queue.push(TOPIC, [{ id: "large", payload: encodeParcel(json, filled) }]);
    await at.publish("eu", "a1");
    await at.runtime.advance(10_000);
    expect(await at.heard("us")).toEqual(["a1"]);
    expect(replication.stats()).toMatchObject([{ sent: 1, buried: 2 }]);
    const { letters } = await deadLetters(at.storage("eu").store, { runtime: at.runtime }).list();
    expect(letters.map(({ id, code, group }) => `${id} ${code} ${group}`).sort()).toEqual([
      "large VALIDATION /replicate/us",
      "rubbish SERIALIZATION /replicate/us",
    ]);
  });

  test.each([["a b"], [""], ["a,b"], ["x".repeat(65)]])("refuses %j as a name", async (name) => {
    const { queue, store } = memoryStorage();
    const common = { events: [TOPIC], from: { queue, store }, runtime: systemRuntime() };
    const refused = { code: "VALIDATION" };
    await expect(startReplication({ ...common, cluster: name, to: { us: queue } })).rejects.toMatchObject(
      refused,
    );
    await expect(startReplication({ ...common, cluster: "eu", to: { [name]: queue } })).rejects.toMatchObject(
      refused,
    );
    await expect(startReplication({ ...common, cluster: "eu", to: { eu: queue } })).rejects.toMatchObject(
      refused,
    );
  });
});

describe("routes", () => {
  test("belong to one event: what its handlers tell inherits its headers, and begins anew", () => {
    const far = comeThrough(comeThrough(parcelOf("1", { tenant: "t" }), "eu"), "us");
    expect(routeOf(far)).toEqual(["eu", "us"]);
    expect(far.headers?.["tenant"]).toBe("t");
    expect(routeOf({ ...far, id: "2" })).toEqual([]);
    expect(routeOf({ ...far, id: "" })).toEqual([]);
    const foreign = { ...far, id: "2" };
    expect(routeOf(comeThrough(foreign, "asia"))).toEqual(["asia"]);
  });

  test("that somebody made up are read as far as they make sense", () => {
    expect(routeOf(parcelOf("1", { "catga-through": "1 eu,,a b,us" }))).toEqual(["eu", "us"]);
    expect(routeOf(parcelOf("1", { "catga-through": "eu" }))).toEqual([]);
  });
});

test("nodes of two clusters hear each other's reliable events, and what their handlers tell goes back", async () => {
  const Ping = reliableEvent("ping", { data: type<{ from: string }>() });
  const Pong = reliableEvent("pong", { data: type<{ to: string }>() });
  const runtime = systemRuntime();
  const storages = { eu: memoryStorage(), us: memoryStorage() };
  const heard: string[] = [];
  const nodes: Node[] = [];
  for (const name of ["eu", "us"] as const) {
    const app = createMediator({
      handlers: [
        on(Ping, async ({ from }, context) => {
          heard.push(`${name}: ping from ${from}`);
          if (name !== from) await context.publish(Pong({ to: from }));
        }, { name: "ping" }),
        on(Pong, ({ to }) => void heard.push(`${name}: pong to ${to}`), { name: "pong" }),
      ],
      runtime,
    });
    const backend = withStorage(memory(), { ...storages[name], durability: "process" });
    nodes.push(await joinCluster(app, { node: name, endpoint: `memory:${name}`, backend, service: "s" }));
  }
  const common = { events: [Ping, Pong], runtime };
  await using _there = await startReplication({
    ...common,
    cluster: "eu",
    from: storages.eu,
    to: { us: storages.us.queue },
  });
  await using _back = await startReplication({
    ...common,
    cluster: "us",
    from: storages.us,
    to: { eu: storages.eu.queue },
  });
  await nodes[0]!.publish(Ping({ from: "eu" }));
  for (let waited = 0; heard.length < 4 && waited < 200; waited++) {
    await new Promise<void>((resolve) => void runtime.clock.timer(20, resolve));
  }
  expect(heard.sort()).toEqual(["eu: ping from eu", "eu: pong to eu", "us: ping from eu", "us: pong to eu"]);
  for (const node of nodes) await node.leave();
});
