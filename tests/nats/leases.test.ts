/** Leases, locks, the leader and shards on NATS: one holder at a time, also of processes that are killed or stopped. */

import { describe, expect } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { command, createMediator, handle, type, unwrap } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { acquireLease, createLocks, type Lease } from "@catga/catga/durable";
import { nats, type NatsBackend } from "@catga/catga/nats";
import { fightForLock } from "../support/lease_fight.ts";
import { beside, roomOf } from "../support/beside.ts";
import { type NatsServer, startNats } from "./server.ts";
import { failureOf, skewed, type Stores, storesOn, until } from "./store_support.ts";

const test = beside(8, async () => {
  const server = await startNats();
  return roomOf({ server, stores: storesOn(server), cluster: clusterOn(server) });
});

const TTL = 1000;
const shard = { key: ({ cart }: { cart: string }) => cart, count: 8, group: "carts" };
const Add = command("cart.add", {
  input: type<{ cart: string }>(),
  output: type<{ readonly node: string; readonly token: number }>(),
  shard,
});

async function take(stores: Stores, owner: string, key = "leases/a", timeout = 20_000): Promise<Lease> {
  const { store, link } = await stores.open();
  return await acquireLease(key, { store, runtime: link.runtime, owner, ttl: TTL, timeout });
}

describe("a lease", () => {
  test(
    "is given on when it is released or its holder is gone, each time with a larger token",
    async ({ stores }) => {
      const { store, link } = await stores.open();
      const gone = await acquireLease("leases/a", { store, runtime: link.runtime, owner: "gone", ttl: TTL });
      expect(await failureOf(take(stores, "early", "leases/a", 0))).toBe("CONFLICT");
      await link.connection.close();
      const second = await take(stores, "second");
      expect(gone.held()).toBe(false);
      const waiting = take(stores, "third");
      await sleep(50);
      await second.release();
      const third = await waiting;
      expect(third.token).toBeGreaterThan(second.token);
      expect(second.token).toBeGreaterThan(gone.token);
      await third.release();
    },
  );

  test("is renewed for as long as its holder is there, whatever the clocks show", async ({ stores }) => {
    const lease = await take(stores, "a");
    await sleep(2.5 * TTL);
    expect(lease.held()).toBe(true);
    expect(await failureOf(take(stores, "b", "leases/a", 0))).toBe("CONFLICT");
    await lease.release();
  });

  test("F46: its holder knows that it is lost before another has it, when the server is away", async ({ server, stores }) => {
    const lease = await take(stores, "a");
    await server.kill();
    await until("it is lost", () => lease.signal.aborted);
    expect([lease.held(), lease.signal.reason.code]).toEqual([false, "TIMEOUT"]);
    await server.restart();
    const next = await take(stores, "b");
    expect(next.token).toBeGreaterThan(lease.token);
    await next.release();
  });

  test("outlasts a restart of the server that is short", async ({ server, stores }) => {
    const lease = await take(stores, "a");
    await server.restart();
    await sleep(1.5 * TTL);
    expect(lease.held()).toBe(true);
    await lease.release();
  });

  test(
    "G10: is lost when the server has lost its files, and the next token is larger",
    async ({ server, stores }) => {
      const lease = await take(stores, "a");
      await server.restart({ loseFiles: true });
      const next = await take(stores, "b");
      await until("the holder knows", () => lease.signal.aborted);
      expect(["CONFLICT", "TIMEOUT"]).toContain(lease.signal.reason.code);
      expect(next.token).toBeGreaterThan(lease.token);
      expect(next.held()).toBe(true);
      await next.release();
    },
  );

  test("C5, F37: of 50 who ask at once on several connections one gets it", async ({ stores }) => {
    const desks = await Promise.all(Array.from({ length: 5 }, async (_, at) => {
      const { store, link } = await stores.open();
      return createLocks({ store, runtime: link.runtime, owner: `p${at}`, ttl: 5000 });
    }));
    const asked = await Promise.allSettled(
      Array.from({ length: 50 }, (_, at) => desks[at % 5]!.acquire("x", { timeout: 0 })),
    );
    expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const desk of desks) await desk[Symbol.asyncDispose]();
  });

  test("F37: those who share one counter lose no step of it", async ({ stores }) => {
    let [counter, inside] = [0, 0];
    const step = async (): Promise<void> => {
      expect(++inside).toBe(1);
      const seen = counter;
      await sleep(1);
      counter = seen + 1;
      inside--;
    };
    const desks = await Promise.all(["a", "b", "c"].map(async (owner) => {
      const { store, link } = await stores.open();
      return createLocks({ store, runtime: link.runtime, owner, ttl: 2000 });
    }));
    await Promise.all(Array.from({ length: 60 }, (_, at) => desks[at % 3]!.run("counter", step)));
    expect(counter).toBe(60);
    for (const desk of desks) await desk[Symbol.asyncDispose]();
  });
});

describe("processes", () => {
  test(
    "two fight for a lock for 100 leases, killed and stopped: no two effects overlap",
    async ({ server }) => {
      const worker = new URL("./leases_worker.ts", import.meta.url);
      await fightForLock({ worker, args: [server.ws, "fight"], leases: 100 });
    },
  );
});

describe("a cluster", () => {
  const settled = (all: readonly Node[]): boolean => {
    const owned = all.flatMap((node) => node.inspect().shards.filter(({ here }) => here === "owned"));
    return owned.length === shard.count && new Set(owned.map(({ index }) => index)).size === shard.count;
  };

  test("G13: each shard has one owner, and its token grows when it moves", async ({ cluster }) => {
    const [a, b] = [await cluster.join("a"), await cluster.join("b")];
    await until("all shards are owned", () => settled([a, b]));
    const tokens = new Map<string, number>();
    const send = async (from: Node): Promise<void> => {
      for (let at = 0; at < 20; at++) {
        const { token } = unwrap(await from.send(Add({ cart: `${at}` })));
        expect(token).toBeGreaterThanOrEqual(tokens.get(`${at}`) ?? 1);
        tokens.set(`${at}`, token);
      }
    };
    for (const from of [a, b]) await send(from);
    const c = await cluster.join("c");
    await until("it has its share", () => settled([a, b, c]));
    for (const from of [c, a, b]) await send(from);
    await b.leave();
    await until("the others have its shards", () => settled([a, c]));
    for (const from of [c, a]) await send(from);
  });

  test("G11: one leads, and its term grows, also when the server has lost its files", async ({ server, cluster }) => {
    const all = [await cluster.join("a"), await cluster.join("b"), await cluster.join("c")];
    const termOf = (node: Node): number => node.leader?.term ?? 0;
    const leaders = (): readonly string[] => [...new Set(all.map((node) => node.leader?.id ?? ""))];
    const leading = (): boolean => leaders().length === 1 && leaders()[0] !== "";
    await until("all agree", leading);
    const first = termOf(all[0]!);
    await all.find(({ id }) => id === leaders()[0])!.resign();
    await until("another leads", () => leading() && termOf(all[0]!) > first);
    const second = termOf(all[0]!);
    await server.restart({ loseFiles: true });
    await until("one leads again", () => leading() && termOf(all[0]!) > second);
  });

  test(
    "C13, F43: a late joiner learns of all who were there",
    async ({ cluster }) => {
      const all = [await cluster.join("a"), await cluster.join("b"), await cluster.join("c")];
      await until("they know each other", () => all.every((node) => node.members().length === 3));
      const late = await cluster.join("late");
      await until(
        "it knows all, and all know it",
        () => [...all, late].every((node) => node.members().length === 4),
      );
    },
  );
});

/** Nodes of one cluster on a server, with clocks far apart; disposing lets all leave. */
interface Cluster extends AsyncDisposable {
  join(name: string): Promise<Node>;
}

function clusterOn(server: NatsServer): Cluster {
  const backends: NatsBackend[] = [];
  const nodes: Node[] = [];
  return {
    join: async (name) => {
      const runtime = skewed(backends.length % 2 === 0 ? 1 : -1);
      const backend = await nats(server.ws, { runtime, reconnectWait: 50 });
      backends.push(backend);
      const handlers = [handle(Add, (_, { shard }) => ({ node: name, token: shard!.token! }))];
      const node = await joinCluster(createMediator({ handlers, runtime }), {
        node: name,
        endpoint: name,
        backend,
        timing: { heartbeat: 100, timeout: 1000 },
      });
      nodes.push(node);
      return node;
    },
    [Symbol.asyncDispose]: async () => {
      for (const node of nodes) await node.leave();
      for (const backend of backends) await backend[Symbol.asyncDispose]();
    },
  };
}
