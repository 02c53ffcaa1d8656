/** A Redis Cluster: by the gateway, and by cluster clients that are there. */

import { acquireLease, createLocks } from "@catga/catga/durable";
import { redis, type RedisStorage, type RedisTarget } from "@catga/catga/redis";
import { redisGateway } from "@catga/catga/redis/gateway";
import { serve } from "@catga/catga/serve";
import {
  type ConformanceCheck,
  discoveryConformance,
  type LookOutcome,
  storeConformance,
} from "@catga/catga/testing";
import { createCluster } from "@redis/client";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { redisDiscovery } from "../../adapters/redis/discovery.ts";
import { discoveryKeys } from "../../adapters/redis/discovery_scripts.ts";
import { redisQueue } from "../../adapters/redis/queue.ts";
import { readyWire } from "../../adapters/redis/ready.ts";
import { restWire } from "../../adapters/redis/rest.ts";
import { type Commander, createCommander } from "../../adapters/redis/commander.ts";
import type { Wire } from "../../adapters/redis/wire.ts";
import { eventStoreConformance } from "../../src/testing/event_store_conformance.ts";
import { queueConformance } from "../../src/testing/queue_conformance.ts";
import { endpointOf, replaceAll } from "./listed.ts";
import { toldClock } from "./queue_clock.ts";
import { type RedisCluster, startRedisCluster } from "./server.ts";
import { failed, quiet, sleep, TOKEN } from "./support.ts";

/** A way to a cluster: what `redis()` takes. */
interface Way extends AsyncDisposable {
  readonly target: RedisTarget;
}

async function byGateway(
  cluster: RedisCluster,
  urls = cluster.urls,
): Promise<Way & { readonly url: string }> {
  const gateway = await redisGateway({ redis: urls, token: TOKEN, timeout: 10_000, runtime: quiet() });
  const server = await serve(gateway.fetch, { port: 0 });
  return {
    url: server.url,
    target: { url: server.url, token: TOKEN },
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

async function byNodeRedis(cluster: RedisCluster): Promise<Way> {
  const client = createCluster({
    rootNodes: cluster.urls.map((url) => ({ url })),
    defaults: { disableOfflineQueue: true },
  });
  client.on("error", () => {});
  await client.connect();
  return { target: { client }, [Symbol.asyncDispose]: () => Promise.resolve(client.destroy()) };
}

function wireOf({ target }: Way): Wire {
  return "client" in target ? readyWire(target.client, quiet()) : restWire(target, quiet());
}

let cluster: RedisCluster;
const ways: Record<string, (cluster: RedisCluster) => Promise<Way>> = {
  "the gateway": byGateway,
  "a cluster client of node-redis": byNodeRedis,
};
beforeAll(async () => void (cluster = await startRedisCluster()), 30_000);
afterAll(() => cluster[Symbol.asyncDispose]());

let names = 0;
const fresh = (): string => `c${names++}`;

/** Runs checks beside each other, as most of them wait; names those that failed. */
async function together(checks: readonly (readonly ConformanceCheck[])[]): Promise<void> {
  const failures: string[] = [];
  await Promise.all(
    checks.flat().map(async ({ name, run }) => {
      await run().catch((thrown) => void failures.push(`${name}: ${thrown?.stack ?? thrown}`));
    }),
  );
  if (failures.length > 0) throw new Error(failures.join("\n"));
  for (const each of checks) expect(each.length).toBeGreaterThan(3);
}

/** What a way gives under a name. */
const openBy = ({ target }: Way, name: string): RedisStorage =>
  redis(target, { name, polling: "fast", timeout: 15_000, runtime: quiet() });

/** Two of one name, and what ends them. */
function both<T>(way: Way, part: (storage: RedisStorage) => T) {
  const name = fresh();
  const [one, two] = [openBy(way, name), openBy(way, name)];
  return {
    parts: [part(one), part(two)] as const,
    pass: sleep,
    close: async () => {
      for (const each of [one, two]) await each[Symbol.asyncDispose]();
    },
  };
}

const storeChecks = (way: Way) =>
  storeConformance(() => {
    const { parts: [store, other], ...rest } = both(way, ({ store }) => store);
    return Promise.resolve({ store, other, ...rest });
  }, { ttl: 1500 });

const eventChecks = (way: Way) =>
  eventStoreConformance(() => {
    const { parts: [events, other], ...rest } = both(way, ({ events }) => events);
    return Promise.resolve({ events, other, ...rest });
  }, { wait: 200 });

const queueChecks = (way: Way) =>
  queueConformance(() => {
    const { runtime, wire, pass } = toldClock();
    const name = fresh();
    const commander = (): Commander => createCommander(wire(wireOf(way)), { runtime, timeout: 60_000 });
    const [one, two] = [commander(), commander()];
    return Promise.resolve({
      queue: redisQueue(one, { name, poll: { perMinute: 240 } }),
      other: redisQueue(two, { name, poll: { perMinute: 240 } }),
      pass,
      close: async () => void await Promise.all([one, two].map((each) => each[Symbol.asyncDispose]())),
    });
  }, { virtual: true }).filter(({ name }) => !name.includes("24.8 days"));

const discoveryChecks = (way: Way) =>
  discoveryConformance(async (nodes) => {
    const runtime = quiet();
    const direct = createCommander(wireOf(way), { runtime });
    const name = fresh();
    let changing: Promise<unknown> = Promise.resolve();
    const list = (next: readonly number[]): void => {
      const endpoints = next.map(endpointOf);
      changing = changing.then(() => direct.run(replaceAll, discoveryKeys(name), endpoints));
    };
    list(nodes);
    await changing;
    let outcome: LookOutcome = "found";
    const gated: Commander = {
      ...direct,
      run: async (...call) => {
        await changing;
        while (outcome === "silent") await sleep(5);
        if (outcome === "failed") throw new Error("the test lets it fail");
        return await direct.run(...call);
      },
    };
    const discovery = redisDiscovery(gated, { name, polling: "fast" });
    return { discovery, runtime, endpointOf, list, look: (next) => void (outcome = next), pass: sleep };
  }, { refresh: 1100 });

describe("a cluster is as good as one server, by each way,", () => {
  let opened: readonly Way[];
  beforeAll(async () => void (opened = await Promise.all(Object.values(ways).map((open) => open(cluster)))));
  afterAll(async () => {
    for (const way of opened) await way[Symbol.asyncDispose]();
  });

  test("for items and events", async () => {
    await together(opened.flatMap((way) => [queueChecks(way), eventChecks(way)]));
  }, 30_000);

  test("for entries and nodes", async () => {
    await together(opened.flatMap((way) => [storeChecks(way), discoveryChecks(way)]));
  }, 30_000);
});

describe.each(Object.keys(ways))("a cluster by %s", (kind) => {
  let way: Way;
  beforeAll(async () => void (way = await ways[kind]!(cluster)));
  afterAll(() => way[Symbol.asyncDispose]());

  test("has locks that exclude others, with growing tokens", async () => {
    const name = fresh();
    await using one = openBy(way, name);
    await using two = openBy(way, name);
    const runtime = quiet();
    const first = await acquireLease("l", { store: one.store, runtime, owner: "one", ttl: 2000 });
    const other = { store: two.store, runtime, owner: "two", ttl: 2000 };
    expect(await failed(acquireLease("l", { ...other, timeout: 0 }))).toBe("CONFLICT");
    await first.release();
    const second = await acquireLease("l", other);
    expect(second.token).toBeGreaterThan(first.token);
    await second.release();
    const desks = [one, two].map(({ store }, at) => createLocks({ store, runtime, owner: `${at}` }));
    let [counter, inside] = [0, 0];
    await Promise.all(Array.from({ length: 20 }, (_, at) =>
      desks[at % 2]!.run("counter", async () => {
        expect(++inside).toBe(1);
        const seen = counter;
        await sleep(1);
        counter = seen + 1;
        inside--;
      })));
    expect(counter).toBe(20);
    for (const desk of desks) await desk[Symbol.asyncDispose]();
  }, 20_000);

  test("loses nothing that it took while a slot moves", async () => {
    const name = fresh();
    await using storage = openBy(way, name);
    const { store, queue, events } = storage;
    await queue.subscribe("t", "g");
    const took = { entries: new Set<string>(), items: new Set<string>(), events: new Set<string>() };
    const codes = new Set<unknown>();
    let over = false;
    const write = async (kept: Set<string>, work: (id: string) => Promise<unknown>): Promise<void> => {
      for (let at = 0; !over; at++) {
        const code = await failed(work(`${at}`));
        if (code === "ok") kept.add(`${at}`);
        codes.add(code);
        await sleep(1);
      }
    };
    const writing = [
      write(took.entries, (id) => store.put(id, id)),
      write(took.items, (id) => queue.push("t", [{ id, payload: id }])),
      write(took.events, (id) => events.append("s", [{ id, type: "x", data: "{}" }])),
    ];
    await sleep(50);
    const slots = new Set<number>();
    for (const server of [0, 1, 2]) {
      for (const key of await cluster.send(server, "KEYS", `{${name}:*`) as string[]) {
        slots.add(await cluster.slotOf(key));
      }
    }
    expect(slots.size).toBe(3);
    for (const slot of slots) {
      const to = (await cluster.ownerOf(slot) + 1) % 3;
      await cluster.beginMove(slot, to);
      await sleep(20);
      while (await cluster.moveKeys(slot, to, 1) > 0) await sleep(20);
      await sleep(20);
      await cluster.endMove(slot, to);
    }
    await sleep(50);
    over = true;
    await Promise.all(writing);
    expect([...codes].toSorted()).toEqual(["UNAVAILABLE", "ok"]);
    const entries = await store.list("", { limit: 10_000 });
    expect(entries.map(({ key }) => key).toSorted()).toEqual([...took.entries].toSorted());
    const read = await events.read("s", { limit: 10_000 });
    expect(read.map(({ id }) => id)).toEqual([...took.events]);
    const handed: string[] = [];
    for (let some = 1; some > 0;) {
      const taken = await queue.pull("t", "g", { max: 1000, lease: 10_000 });
      handed.push(...taken.map(({ id }) => id));
      some = taken.length;
    }
    expect(handed).toEqual([...took.items]);
  }, 20_000);
});

describe("the REST API of a cluster", () => {
  let way: Awaited<ReturnType<typeof byGateway>>;
  beforeAll(async () => void (way = await byGateway(cluster)));
  afterAll(() => way[Symbol.asyncDispose]());

  const said = async (path: string, body: unknown): Promise<unknown> => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const reply = await fetch(`${way.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return await reply.json();
  };

  test("takes commands for keys on all servers, also in one pipeline", async () => {
    const keys = Array.from({ length: 30 }, (_, at) => `k${at}`);
    const owners = new Set(
      await Promise.all(keys.map(async (key) => cluster.ownerOf(await cluster.slotOf(key)))),
    );
    expect(owners.size).toBe(3);
    const all = (commands: (key: string) => unknown[]): Promise<unknown> =>
      said("/pipeline", keys.map(commands));
    expect(await all((key) => ["SET", key, key])).toEqual(keys.map(() => ({ result: "OK" })));
    expect(await all((key) => ["GET", key])).toEqual(keys.map((result) => ({ result })));
    expect(await all((key) => ["XGROUP", "CREATE", `${key}s`, "g", "$", "MKSTREAM"])).toEqual(
      keys.map(() => ({ result: "OK" })),
    );
    expect(await all((key) => ["XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", `${key}s`, ">"]))
      .toEqual(keys.map(() => ({ result: null })));
    expect(await all((key) => ["EVAL", "return redis.call('GET', KEYS[1])", 1, key])).toEqual(
      keys.map((result) => ({ result })),
    );
    expect(await said("/", ["PING"])).toEqual({ result: "PONG" });
    expect(await said("/", ["EVAL", "return 5", 0])).toEqual({ result: 5 });
    expect(await said("/", ["XGROUP", "NOSUCH", "k"])).toHaveProperty("error");
    expect(await said("/", ["GET"])).toHaveProperty("error");
  });

  test("takes transactions on one server, and refuses others as a whole", async () => {
    const same = ["a", "b", "c"].map((key) => ["SET", `{same}${key}`, key]);
    expect(await said("/multi-exec", same)).toEqual(same.map(() => ({ result: "OK" })));
    const apart = ["a", "b", "c"].map((key) => ["SET", `apart ${key}`, key]);
    expect(await said("/multi-exec", apart)).toEqual({
      error: expect.stringMatching(/^CROSSSLOT/) as unknown,
    });
    expect(await said("/pipeline", apart.map(([, key]) => ["GET", key]))).toEqual(
      apart.map(() => ({ result: null })),
    );
  });

  test("tells what is published at any of them", async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const over = new AbortController();
    const response = await fetch(`${way.url}/subscribe/chat`, { headers, signal: over.signal });
    const reader = response.body!.getReader();
    let text = "";
    for (let sent = false; !text.includes("message,chat,hello");) {
      text += new TextDecoder().decode((await reader.read()).value);
      if (!sent) await cluster.send(2, "PUBLISH", "chat", "hello");
      sent = true;
    }
    expect(text).toContain("subscribe,chat,1");
    over.abort();
    await reader.cancel().catch(() => {});
  });
});

test(
  "when one of the servers is killed all is done or has failed, and what was done is there again",
  async () => {
    const opened = await Promise.all(Object.values(ways).map((open) => open(cluster)));
    const placed = new Map<number, string>();
    while (placed.size < 3) {
      const name = fresh();
      placed.set(await cluster.ownerOf(await cluster.slotOf(`{${name}:s}`)), name);
    }
    const writers = opened.flatMap(({ target }) =>
      [...placed].map(([server, name]) => ({
        server,
        storage: redis(target, { name, timeout: 15_000, runtime: quiet() }),
        codes: new Map<string, unknown>(),
      }))
    );
    let over = false;
    const writing = writers.map(async ({ storage, codes }, at) => {
      for (let n = 0; !over; n++) {
        const key = `${at}-${n}`;
        codes.set(key, await failed(storage.store.put(key, key)));
        await sleep(5);
      }
    });
    const all = async (code: string): Promise<void> => {
      while (!writers.every(({ codes }) => [...codes.values()].includes(code))) await sleep(10);
    };
    await all("ok");
    await cluster.servers[1]!.kill();
    await all("UNAVAILABLE");
    over = true;
    await Promise.all(writing);
    await cluster.servers[1]!.restart();
    for (const { storage, server, codes } of writers) {
      const told = new Set(codes.values());
      // At the other servers nothing was under way that the kill took along.
      if (server !== 1) expect(told.has("TRANSPORT")).toBe(false);
      expect([told.has("ok"), told.has("UNAVAILABLE"), told.size <= 3]).toEqual([true, true, true]);
      for (let tries = 0; tries < 500 && await failed(storage.store.put("back", "")) !== "ok"; tries++) {
        await sleep(20);
      }
      const there = new Set((await storage.store.list("", { limit: 10_000 })).map(({ key }) => key));
      for (const [key, code] of codes) {
        if (code !== "TRANSPORT") expect([key, code, there.has(key)]).toEqual([key, code, code === "ok"]);
      }
      await storage[Symbol.asyncDispose]();
    }
    for (const way of opened) await way[Symbol.asyncDispose]();
  },
  60_000,
);
