/** Locks, limits, a cache and idempotent commands of this library, on what `redis()` keeps. */
import { command, createMediator, handle, type, unwrap } from "@catga/catga";
import { createCache, createLocks, createRateLimiter, idempotent } from "@catga/catga/durable";
import type { Store } from "@catga/catga/ports";
import { redis } from "@catga/catga/redis";
import { processRuntime } from "@catga/catga/serve";
import { createCommander } from "../../adapters/redis/commander.ts";
import { restWire } from "../../adapters/redis/rest.ts";
import { redisStore } from "../../adapters/redis/store.ts";
import { nextOrder, type Order } from "../harness/order.ts";
import { expect, type MakeOperation, type Operation, restOf } from "../harness/redis.ts";
import { keysOf, VALUES } from "./redis_names.ts";

const runtime = processRuntime();

function storeAt(port: number): Store {
  return redis(restOf(port), { runtime }).store;
}

/** The same store with one command in each request. */
function singlyAt(port: number): Store {
  return redisStore(
    createCommander(restWire(restOf(port), runtime), { runtime, batch: 1, runs: 1, requests: 64 }),
  );
}

export const locking: MakeOperation = (port) => lockingBy(storeAt(port));

function lockingBy(store: Store): Operation {
  const locks = createLocks({ store, runtime, owner: "bench" });
  return {
    run: async (lane) => {
      const lease = await locks.acquire(`stock/${lane}`);
      expect("a lock is held", lease.held());
      await lease.release();
    },
    check: async () => {
      const others = createLocks({ store, runtime, owner: "another" });
      await using _ = await locks.acquire("stock/one");
      const code = await others.acquire("stock/one", { timeout: 0 }).then(() => "got", ({ code }) => code);
      expect("a lock that is held is refused", code === "CONFLICT");
    },
  };
}

export const limiting: MakeOperation = (port, what) => {
  const limiter = createRateLimiter({ store: storeAt(port), runtime });
  const keyOf = keysOf(what);
  return {
    run: async (lane) => {
      const { allowed } = await limiter.limit(keyOf(lane), { rate: 1e9, per: 60_000 });
      expect("what is far from its limit is allowed", allowed);
    },
    check: async () => {
      let allowed = 0;
      for (let asked = 0; asked < 80; asked++) {
        if ((await limiter.limit("few", { rate: 50, per: 3_600_000 })).allowed) allowed++;
      }
      expect("50 of 80 are allowed", allowed === 50);
    },
  };
};

export const cachingNear: MakeOperation = (port) => cachingBy(storeAt(port), true);
export const cachingFar: MakeOperation = (port) => cachingBy(storeAt(port), false);

function cachingBy(store: Store, near: boolean): Operation {
  const cache = createCache({
    store,
    runtime,
    namespace: "orders",
    value: type<Order>(),
    ...(near ? { near: {} } : {}),
  });
  const ids: number[] = [];
  let at = 0;
  const get = async (): Promise<void> => {
    const id = ids[at = at + 1 === VALUES ? 0 : at + 1]!;
    expect("a value is what was kept", (await cache.get(`${id}`))?.id === id);
  };
  return {
    run: get,
    check: async () => {
      const orders = Array.from({ length: VALUES }, nextOrder);
      await Promise.all(orders.map((order) => cache.set(`${order.id}`, order)));
      ids.push(...orders.map(({ id }) => id));
      for (let rounds = 0;; rounds++) {
        const before = cache.stats();
        await Promise.all(orders.map(get));
        const after = cache.stats();
        const [inside, outside] = [after.near - before.near, after.hits - before.hits];
        if (near && outside > 0 && rounds < 5) continue; // It keeps nothing before it hears of changes.
        expect("the store is asked by who keeps nothing itself", near ? outside === 0 : inside === 0);
        expect("each value is answered", inside + outside === VALUES);
        return;
      }
    },
  };
}

export const turning: MakeOperation = (port, what) => turningBy(storeAt(port), what);
export const turningSingly: MakeOperation = (port, what) => turningBy(singlyAt(port), what);

function turningBy(store: Store, what: string): Operation {
  return what.includes("lock") ? lockingBy(store) : repeatingBy(store);
}

const Place = command("orders.place", {
  input: type<Order>(),
  output: type<number>(),
  idempotency: { key: ({ id }) => `${id}` },
});

function repeatingBy(store: Store): Operation {
  let handled = 0;
  const app = createMediator({
    handlers: [handle(Place, ({ id }) => (handled++, id))],
    behaviors: [idempotent({ store })],
    runtime,
  });
  const send = async (order: Order): Promise<void> =>
    expect("an order is answered with its id", unwrap(await app.send(Place(order))) === order.id);
  return {
    run: () => send(nextOrder()),
    check: async () => {
      const order = nextOrder();
      await send(order);
      await send(order);
      expect("an order that comes twice is placed once", handled === 1);
    },
  };
}
