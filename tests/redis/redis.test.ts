/** Everything in one: what `redis()` gives to nodes. */

import { command, createMediator, handle, type } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { acquireLease } from "@catga/catga/durable";
import { http } from "@catga/catga/http";
import { type Runtime, withStorage } from "@catga/catga/ports";
import { redis, type RedisOptions } from "@catga/catga/redis";
import { serve } from "@catga/catga/serve";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openStand, quiet, type RedisStand, sleep, TOKEN } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

const open = (options: RedisOptions = {}) =>
  redis({ url: stand.url, token: TOKEN }, { runtime: quiet(), ...options });

describe("redis()", () => {
  test("keeps entries, items and events for all that give its name", async () => {
    await using a = open({ name: "one" });
    await using b = open({ name: "one" });
    await using other = open({ name: "other" });
    expect(a.durability).toBe("process");
    expect(a.store.durability).toBe("process");
    const revision = await a.store.put("k", "v");
    expect(await b.store.get("k")).toEqual({ key: "k", value: "v", revision });
    expect(await other.store.get("k")).toBeUndefined();
    await b.queue.subscribe("t", "g");
    await a.queue.push("t", [{ id: "1", payload: "p" }]);
    const [delivery] = await b.queue.pull("t", "g", { max: 1, lease: 1000 });
    expect(delivery?.payload).toBe("p");
    await a.events.append("s", [{ id: "1", type: "x", data: "{}" }]);
    expect(await b.events.read("s")).toHaveLength(1);
    expect(await other.events.read("s")).toEqual([]);
    expect(a.sent).toBeGreaterThan(3);
  });

  test("does nothing before it is asked", async () => {
    await using none = redis({ url: "http://127.0.0.1:1", token: TOKEN });
    expect(none.sent).toBe(0);
  });

  test.each([
    [{ url: "x", token: TOKEN }],
    [{ url: "https://x", token: "" }],
    [{ client: {} as never }],
  ])("is not made of what is none", (target) => {
    expect(() => redis(target)).toThrow(/^Cannot use the/);
  });

  test("is not made with options that make no sense", () => {
    const bad: readonly RedisOptions[] = [
      { polling: "slow" as never },
      { name: "" },
      { keys: 0 },
      { window: 0 },
      { items: 0 },
      { timeout: 0 },
    ];
    for (const options of bad) expect(() => open(options)).toThrow(RangeError);
  });
});

test("nodes find each other, and answer each other", async () => {
  const Ask = command("ask", { input: type<void>(), output: type<string>() });
  const nodeOf = async (id: string) => {
    const reached: { endpoint?: string } = {};
    const storage = open({ name: "nodes", polling: "fast", endpoint: () => reached.endpoint });
    const backend = withStorage(http({ peers: storage.discovery }), storage);
    const server = await serve(backend.fetch, { port: 0 });
    reached.endpoint = server.url;
    const runtime = quiet();
    const app = createMediator({ handlers: [handle(Ask, () => id)], runtime });
    const node = await joinCluster(app, { node: id, endpoint: server.url, backend, timing: "fast" });
    return {
      node,
      [Symbol.asyncDispose]: async () => {
        await node.leave();
        await server.stop();
        await storage[Symbol.asyncDispose]();
      },
    };
  };
  await using a = await nodeOf("a");
  await using b = await nodeOf("b");
  const seen = () => [a, b].map(({ node }) => node.members().length);
  for (let waited = 0; waited < 10_000 && seen().join() !== "2,2"; waited += 50) await sleep(50);
  expect(seen()).toEqual([2, 2]);
  const answers = new Set<string>();
  for (let asked = 0; asked < 200 && answers.size < 2; asked++) {
    const result = await a.node.send(Ask());
    await sleep(10);
    if (result.ok) answers.add(result.value);
  }
  expect([...answers].sort()).toEqual(["a", "b"]);
});

test("a lease excludes others, and its token is larger after all was lost", async () => {
  await using one = open({ name: "leases", polling: "fast" });
  await using two = open({ name: "leases", polling: "fast" });
  const runtime = quiet();
  const first = await acquireLease("l", { store: one.store, runtime, owner: "one", ttl: 2000 });
  const refused = acquireLease("l", { store: two.store, runtime, owner: "two", ttl: 2000, timeout: 0 });
  expect(await refused.then(() => "held", (error) => error.code)).toBe("CONFLICT");
  await first.release();
  await using raw = stand.open();
  await raw.send(["FLUSHALL"]);
  const second = await acquireLease("l", { store: two.store, runtime, owner: "two", ttl: 2000 });
  expect(second.token).toBeGreaterThan(first.token);
  await second.release();
});

describe("an idle node", () => {
  /** The real runtime, so many times as fast. */
  function hurried(times: number): Runtime {
    const runtime = quiet();
    const { clock } = runtime;
    return {
      ...runtime,
      clock: {
        ...clock,
        mono: () => clock.mono() * times,
        timer: (ms, run) => clock.timer(ms / times, run),
      },
    };
  }

  test("takes 30 commands a minute at most", async () => {
    const times = 240;
    const runtime = hurried(times);
    const storage = open({ name: "idle", runtime, endpoint: "http://127.0.0.1:1", timeout: 5000 * times });
    const over = new AbortController();
    const { signal } = over;
    const look = storage.discovery.open(runtime);
    await storage.queue.subscribe("t", "g");
    await storage.queue.subscribe("t", "h");
    const watching = (async () => {
      for await (const _ of storage.store.watch("", { signal }));
    })();
    const waits = ["g", "h"].map(async (group) => {
      while (!signal.aborted) {
        await storage.queue.pull("t", group, { max: 1, lease: 1000, wait: 600_000, signal }).catch(() => {});
      }
    });
    const news = (async () => {
      while (!signal.aborted) {
        await storage.events.changed(0, { wait: 600_000, signal }).catch(() => {});
      }
    })();
    const minute = 60_000 / times;
    await sleep(3 * minute);
    const before = storage.sent;
    await sleep(10 * minute);
    const each = (storage.sent - before) / 10;
    over.abort();
    await look[Symbol.asyncDispose]();
    await Promise.all([watching, ...waits, news]);
    await storage[Symbol.asyncDispose]();
    expect(each).toBeGreaterThan(0);
    expect(each).toBeLessThanOrEqual(30);
  });
});
