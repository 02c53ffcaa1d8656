/** Keys, records, peers and stores that are not as they should be. */

import { describe, expect, test } from "bun:test";
import { CatgaError, command, createMediator, handle, query, systemFault, type } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { memory, memoryStore } from "@catga/catga/memory";
import { type Backend, type Entry, type Store, systemRuntime, withStorage } from "@catga/catga/ports";
import { knownOf } from "../../src/cluster/known.ts";
import type { NodeRecord } from "../../src/cluster/record.ts";
import { NOWHERE, placementOf } from "../../src/cluster/shards/placement.ts";
import { sendToOwner } from "../../src/cluster/shards/send_to_owner.ts";
import { ShardClaims } from "../../src/cluster/shards/shard_claims.ts";
import { ShardGroup } from "../../src/cluster/shards/shard_group.ts";
import { recordOfShard, shardOfKey } from "../../src/cluster/shards/shard_record.ts";
import { until } from "./support.ts";

const timing = { heartbeat: 40, timeout: 200 };
const text = { input: type<string>(), output: type<string>() };

/** A store with some of its methods replaced. */
function changed(store: Store, change: Partial<Store>): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    ...change,
  };
}

function nodeRecord(id: string, weight: number): NodeRecord {
  return {
    ...{ id, endpoint: `memory:${id}`, kind: "process", incarnation: 1, standing: 1, fit: true, revision: 0 },
    ...{ seq: 0, status: "ready", contracts: ["box"], load: 0, lag: 0, cpu: undefined, memory: undefined },
    ...{ tags: {}, zone: undefined, version: undefined, weight },
  };
}

describe("a key", () => {
  const failing = (): string => {
    throw new Error("no key");
  };

  test("that throws fails a call as data, also where answers are let go of or the send says where", async () => {
    const Get = query("get", text);
    const Bad = command("bad", { ...text, shard: { count: 4, key: failing }, invalidates: [Get] });
    const Good = command("good", { ...text, shard: { count: 4, key: (body) => body } });
    const handlers = [handle(Get, (body) => body), handle(Bad, (body) => body), handle(Good, (body) => body)];
    const node = await joinCluster(createMediator({ handlers }), {
      ...{ node: "a", endpoint: "memory:a", backend: memory(), timing },
    });
    expect(await node.send(Bad("x"))).toMatchObject({ ok: false, error: { code: "INTERNAL" } });
    const route = (): never => {
      throw new Error("no way");
    };
    expect(await node.send(Good("x"), { route })).toMatchObject({ ok: false, error: { code: "INTERNAL" } });
    await node.leave();
  });

  test("that is no text fails its call, instead of falling to one shard with all of its kind", async () => {
    const Odd = command("odd", {
      ...text,
      shard: { count: 4, key: (body) => body.length as unknown as string },
    });
    const node = await joinCluster(createMediator({ handlers: [handle(Odd, (body) => body)] }), {
      ...{ node: "a", endpoint: "memory:a", backend: memory(), timing },
    });
    expect(await node.send(Odd("x"))).toMatchObject({
      ok: false,
      error: {
        code: "INTERNAL",
        cause: expect.objectContaining({ message: expect.stringContaining("number") }),
      },
    });
    await node.leave();
  });

  test("that fails on the other side alone is not asked for until the deadline", async () => {
    // What was a date is a text there.
    const At = command("at", {
      input: type<{ at: Date }>(),
      output: type<string>(),
      shard: { count: 4, key: ({ at }) => at.toISOString() },
    });
    const backend = memory();
    const owner = await joinCluster(createMediator({ handlers: [handle(At, () => "done")] }), {
      ...{ node: "a", endpoint: "memory:a", backend, timing },
    });
    const sender = await joinCluster(createMediator({ handlers: [] }), {
      ...{ node: "b", endpoint: "memory:b", backend, timing },
    });
    await until(() => owner.inspect().shards.every(({ here }) => here === "owned"));
    await until(() => sender.explain(At({ at: new Date(0) })).node === "a");
    const result = await sender.send(At({ at: new Date(0) }), { timeout: 5000 });
    expect(result).toMatchObject({ ok: false, error: { code: "VALIDATION" } });
    expect(sender.stats().sent).toBe(1);
    await Promise.all([owner.leave(), sender.leave()]);
  });
});

describe("a record of a shard", () => {
  const entry = (value: unknown): Entry => ({ key: "", value: JSON.stringify(value), revision: 1 });

  test("names a node and a lease of one, or is none", () => {
    const good = { owner: "a", session: "shards/by/a/1-x" };
    expect(recordOfShard(entry(good))).toEqual(good);
    for (
      const bad of [
        null,
        7,
        "text",
        { ...good, owner: "" },
        { ...good, owner: "x".repeat(65) },
        { ...good, session: "leader" },
        { ...good, session: `shards/by/${"x".repeat(600)}` },
      ]
    ) expect(recordOfShard(entry(bad))).toBeUndefined();
  });

  test("has one key", () => {
    expect(shardOfKey("shards/of/box/7")).toEqual({ group: "box", index: 7 });
    expect(shardOfKey("shards/of/box/0")).toEqual({ group: "box", index: 0 });
    expect(shardOfKey("shards/of/box/07")).toBeUndefined();
  });
});

test("a node of no weight, as only a strange peer says, gets no shards and breaks nothing", () => {
  const group = new ShardGroup("box", 8);
  group.types.add("box");
  const known = [nodeRecord("a", 1), nodeRecord("b", 0)].map((record) => knownOf(record, 0, false));
  expect(new Set(placementOf(group, known, NOWHERE).owners)).toEqual(new Set(["a"]));
});

describe("claims", () => {
  const record = { owner: "a", session: "shards/by/a/1" };
  const { clock } = systemRuntime();

  test("hold nothing by a writing that an earlier one, on its way still, may take away", async () => {
    const store = memoryStore({ clock });
    const revision = await store.put("shards/of/box/0", JSON.stringify(record));
    let puts = 0;
    const claims = new ShardClaims(
      changed(store, {
        put: (key, value, options) =>
          ++puts > 1 ? store.put(key, value, options) : Promise.reject(
            new CatgaError(systemFault("TRANSPORT", "lost on its way")),
          ),
      }),
      clock,
      1000,
      record,
    );
    const token = await claims.take("shards/of/box/0", revision);
    // A giving back that was sent before arrives only now.
    await store.delete("shards/of/box/0", { expected: revision }).catch(() => {});
    if (token !== undefined) expect((await store.get("shards/of/box/0"))?.revision).toBe(token);
    expect(token).toBeGreaterThan(revision);
  });
});

describe("a call to an owner", () => {
  const group = (): ShardGroup => {
    const group = new ShardGroup("box", 2);
    group.own(0, { id: "a", token: 1 });
    return group;
  };
  const runtime = systemRuntime();
  const waits = { runtime, begins() {}, finished() {} };

  test("goes on where the one that was asked serves it no more", async () => {
    const box = group();
    const result = await sendToOwner({
      ...{ type: "box", group: box, index: 0, deadline: runtime.clock.mono() + 2000, idempotent: false },
      signals: [],
      gone: () => undefined,
      ask: (owner) => {
        if (owner === "b") return Promise.resolve({ result: { ok: true, value: "b" }, answered: true });
        box.own(0, { id: "b", token: 2 });
        const error = systemFault("NO_HANDLER", "not served here");
        return Promise.resolve({ result: { ok: false, error }, answered: false });
      },
    }, waits);
    expect(result).toEqual({ ok: true, value: "b" });
  });

  test("is not asked again because other shards get owners", async () => {
    const box = new ShardGroup("box", 1000);
    box.own(0, { id: "a", token: 1 });
    let asked = 0;
    const sent = sendToOwner({
      ...{ type: "box", group: box, index: 0, deadline: runtime.clock.mono() + 100, idempotent: false },
      signals: [],
      gone: () => undefined,
      ask: () => {
        asked++;
        const error = systemFault("UNAVAILABLE", "not just now");
        return Promise.resolve({ result: { ok: false, error }, answered: false });
      },
    }, waits);
    for (let index = 1; index < 1000; index++) {
      box.own(index, { id: "b", token: index });
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
    await sent;
    expect(asked).toBeLessThan(100);
  });
});

describe("nothing is left behind", () => {
  function counting(): { backend: Backend; open: () => number } {
    let open = 0;
    const backend = withStorage(memory(), ({ runtime }) => {
      const store = memoryStore({ clock: runtime.clock });
      const counted = changed(store, {
        async *watch(prefix, options) {
          open++;
          try {
            yield* store.watch(prefix, options);
          } finally {
            open--;
          }
        },
      });
      return { durability: "none", store: counted };
    });
    return { backend, open: () => open };
  }

  test("by a join that is refused, or that cannot listen", async () => {
    const { backend, open } = counting();
    const app = createMediator({ handlers: [] });
    const options = { node: "a", endpoint: "memory:a", timing };
    const refused = await joinCluster(app, { ...options, backend, shards: { moves: 0 } }).catch(String);
    expect(refused).toContain("moves");
    const deaf: Backend = {
      ...backend,
      open: (host) => {
        const parts = backend.open(host);
        return {
          ...parts,
          transport: {
            name: "deaf",
            exchange: parts.transport.exchange.bind(parts.transport),
            serve: () => Promise.reject(new Error("the port is taken")),
            [Symbol.asyncDispose]: () => parts.transport[Symbol.asyncDispose](),
          },
        };
      },
    };
    expect(await joinCluster(app, { ...options, backend: deaf }).catch(String)).toContain(
      "the port is taken",
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(open()).toBe(0);
  });
});

test("a node that can own no shards keeps no lease for them", async () => {
  const Box = command("box", { ...text, shard: { count: 4, key: (body) => body } });
  let sessions = 0;
  const backend = withStorage(memory(), ({ runtime }) => {
    const store = memoryStore({ clock: runtime.clock });
    const counted = changed(store, {
      put: (key, value, options) => {
        if (key.startsWith("shards/by/")) sessions++;
        return store.put(key, value, options);
      },
    });
    return { durability: "none", store: counted };
  });
  const app = createMediator({ handlers: [handle(Box, (body) => body)] });
  const node = await joinCluster(app, { node: "a", endpoint: "memory:a", backend, timing, kind: "service" });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(sessions).toBe(0);
  await node.leave();
});
