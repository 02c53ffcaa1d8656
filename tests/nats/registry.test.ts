/** Nodes that find each other through the store: over a real server, and by the minute over one in memory. */

import { describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { memoryStore, type MemoryStoreOptions } from "@catga/catga/memory";
import type { Entry, Store } from "@catga/catga/ports";
import { type NatsRegistry, natsRegistry } from "../../adapters/nats/registry.ts";
import { RegistryView } from "../../adapters/nats/registry_view.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";
import { beside, roomOf } from "../support/beside.ts";
import { startNats } from "./server.ts";
import { skewed, type Stores, storesOn, until } from "./store_support.ts";

/** Registries of one cluster, with clocks far apart; disposing ends all. */
interface Registries extends AsyncDisposable {
  join(id: string, ttl?: number): Promise<NatsRegistry>;
}

function registriesOn(stores: Stores): Registries {
  const registries: NatsRegistry[] = [];
  return {
    join: async (id, ttl = 1000) => {
      const { store } = await stores.open();
      const runtime = skewed(registries.length % 2 === 0 ? 1 : -1);
      const registry = natsRegistry(store, { self: { id, endpoint: `at-${id}` }, runtime }, { ttl });
      registries.push(registry);
      return registry;
    },
    [Symbol.asyncDispose]: async () => {
      for (const registry of registries) await registry[Symbol.asyncDispose]();
    },
  };
}

const ids = (registry: NatsRegistry): readonly string[] => registry.seeds().map(({ id }) => id).toSorted();
const record = (endpoint: unknown): string => JSON.stringify({ endpoint });

describe("over NATS", () => {
  const waiting = beside(3, async () => {
    const server = await startNats();
    const stores = storesOn(server);
    return roomOf({ server, stores, nodes: registriesOn(stores) });
  });

  waiting(
    "a late joiner knows everybody, and everybody knows it, with clocks hours apart",
    async ({ nodes }) => {
      const first = await Promise.all(["a", "b/c", "ü"].map((id) => nodes.join(id)));
      await until("they know each other", () => first.every((each) => each.seeds().length === 2));
      await sleep(1500);
      const late = await nodes.join("late");
      await late.ready;
      expect(late.seeds().toSorted((x, y) => x.id < y.id ? -1 : 1)).toEqual([
        { id: "a", endpoint: "at-a" },
        { id: "b/c", endpoint: "at-b/c" },
        { id: "ü", endpoint: "at-ü" },
      ]);
      await until("all know it", () => first.every((each) => ids(each).includes("late")));
    },
  );

  waiting(
    "who leaves is struck off at once, and who is killed when its time is over",
    async ({ stores, nodes }) => {
      const stays = await nodes.join("stays", 60_000);
      const leaves = await nodes.join("leaves", 60_000);
      const { store, link } = await stores.open();
      const killed = natsRegistry(store, { self: { id: "killed", endpoint: "k" }, runtime: skewed(0) }, {
        ttl: 500,
      });
      await until("all are known", () => stays.seeds().length === 2);
      await leaves[Symbol.asyncDispose]();
      await until("it has left", () => ids(stays).join() === "killed");
      await link.connection.close();
      await until("its time is over", () => stays.seeds().length === 0);
      await killed[Symbol.asyncDispose]();
    },
  );

  waiting(
    "after the server was restarted, and after it has lost its files, all know each other again",
    async ({ server, stores }) => {
      const nodes: NatsRegistry[] = [];
      for (const id of ["a", "b", "c"]) {
        const { store } = await stores.open();
        nodes.push(natsRegistry(store, { self: { id, endpoint: id }, runtime: skewed(0) }, { ttl: 3000 }));
      }
      const known = (): boolean => nodes.every((each) => each.seeds().length === 2);
      await until("they know each other", known);
      for (const loseFiles of [false, true]) {
        await server.restart({ loseFiles });
        const late = await stores.open();
        const node = natsRegistry(late.store, { self: { id: "late", endpoint: "l" }, runtime: skewed(0) });
        await until("the late one knows all", () => node.seeds().length === 3);
        await node[Symbol.asyncDispose]();
        await until("they know each other", known);
      }
      for (const node of nodes) await node[Symbol.asyncDispose]();
    },
  );
});

describe("over any store", () => {
  let runtime: FakeRuntime;
  let store: Store;

  function begin(options: Partial<MemoryStoreOptions> = {}): void {
    runtime = Object.assign(fakeRuntime(), {
      background: (work: Promise<unknown>) => void work.catch(() => {}),
    });
    store = memoryStore({ clock: runtime.clock, ...options });
  }

  function join(id: string, over: Store = store, ttl = 30_000): NatsRegistry {
    return natsRegistry(over, { self: { id, endpoint: `at-${id}` }, runtime }, { ttl });
  }

  const turn = (ms = 10): Promise<void> => runtime.advance(ms);

  test("forged and malformed records change nothing", async () => {
    begin();
    const [a, b] = [join("a"), join("b")];
    await turn();
    const before = a.seeds();
    expect(before).toEqual([{ id: "b", endpoint: "at-b" }]);
    const bad = [
      "",
      "null",
      "[]",
      "{",
      "5",
      record(undefined),
      record(5),
      record(""),
      record("x".repeat(200)),
      record({}),
      '{"endpoint":"\\ud800"}',
      "[".repeat(50_000),
    ];
    for (const [at, value] of bad.entries()) await store.put(`nodes/bad${at}`, value);
    for (const name of ["", "*", "n".repeat(129)]) await store.put(`nodes/${name}`, record("e"));
    await store.put("nodes/b", "nonsense");
    await store.put("nodes/a", record("elsewhere"));
    await store.put("nodesx/c", record("e"));
    await turn();
    expect(a.seeds()).toBe(before);
    await turn(31_000);
    expect(a.seeds()).toBe(before);
    expect(JSON.parse((await store.get("nodes/a"))!.value)).toEqual({ endpoint: "at-a" });
    for (const each of [a, b]) await each[Symbol.asyncDispose]();
  });

  test("of 10,000 forged nodes 1,024 are known at most, and those known before stay", async () => {
    begin();
    const [a, b] = [join("a"), join("b")];
    await turn();
    for (let at = 0; at < 10_000; at++) await store.put(`nodes/${at}`, record(`e${at}`));
    await turn(40_000);
    expect(a.seeds()).toHaveLength(1024);
    expect(a.seeds()[0]).toEqual({ id: "b", endpoint: "at-b" });
    expect(runtime.entries.filter(({ event }) => event === "registry.cut")).toHaveLength(2);
    for (const each of [a, b]) await each[Symbol.asyncDispose]();
  }, 30_000);

  test("a node whose entry was taken away, or whose time was over while it stood still, is listed again", async () => {
    begin();
    const [a, b] = [join("a"), join("b")];
    await turn();
    await store.delete("nodes/b");
    await turn();
    expect(ids(a)).toEqual(["b"]);
    expect(await store.get("nodes/b")).toBeDefined();
    for (const each of [a, b]) await each[Symbol.asyncDispose]();
  });

  test("an entry that another one holds since is not struck off by who leaves", async () => {
    begin();
    const a = join("a");
    await turn();
    const next = join("a");
    await turn();
    await a[Symbol.asyncDispose]();
    expect(await store.get("nodes/a")).toBeDefined();
    await next[Symbol.asyncDispose]();
    expect(await store.get("nodes/a")).toBeUndefined();
  });

  test("the same array until something has changed, renewals of others aside", async () => {
    begin();
    const [a, b] = [join("a"), join("b")];
    await turn();
    const before = a.seeds();
    await turn(120_000);
    expect(a.seeds()).toBe(before);
    const c = join("c");
    await turn();
    expect(ids(a)).toEqual(["b", "c"]);
    for (const each of [a, b, c]) await each[Symbol.asyncDispose]();
  });

  /** A store whose watches tell what is there, and then nothing any more. */
  function deaf(): Store {
    return Object.create(store, {
      watch: {
        value: async function* (prefix: string, { signal }: { signal: AbortSignal }) {
          for (const entry of await store.list(prefix)) yield { type: "put", entry };
          yield { type: "ready" };
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        },
      },
      put: { value: store.put.bind(store) },
      list: { value: store.list.bind(store) },
      delete: { value: store.delete.bind(store) },
    }) as Store;
  }

  test("what a watch does not tell is found by looking now and then", async () => {
    begin();
    const a = join("a", deaf());
    await turn();
    const b = join("b");
    const gone = join("gone", store, 20_000);
    await turn();
    expect(ids(a)).toEqual([]);
    await turn(16_000);
    expect(ids(a)).toEqual(["b", "gone"]);
    await gone[Symbol.asyncDispose]();
    await turn(16_000);
    expect(ids(a)).toEqual(["b"]);
    for (const each of [a, b]) await each[Symbol.asyncDispose]();
  });

  test("a list that was read before something was told takes nothing of that back", () => {
    begin();
    const view = new RegistryView({ self: { id: "a", endpoint: "at-a" }, runtime });
    const at = (revision: number, endpoint = "e"): Entry => ({ key: "", value: record(endpoint), revision });
    view.put("old", at(1));
    const before = view.mark();
    view.put("new", at(5));
    view.put("moved", at(7, "there"));
    view.replace([["moved", at(2, "here")]], before);
    expect(view.peers).toEqual([{ id: "new", endpoint: "e" }, { id: "moved", endpoint: "there" }]);
    view.delete("new", 4);
    expect(view.peers).toHaveLength(2);
    view.delete("new", 6);
    expect(view.peers).toEqual([{ id: "moved", endpoint: "there" }]);
  });

  test("while the store is away what is known stays, and that is said once", async () => {
    begin();
    let away = false;
    const failing = new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          if (!away) return Reflect.apply(member, target, args);
          if (name === "watch") {
            return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("away")) }) };
          }
          return Promise.reject(new Error("away"));
        };
      },
    });
    const [a, b] = [join("a", failing), join("b")];
    await turn();
    away = true;
    await turn(100_000);
    expect(ids(a)).toEqual(["b"]);
    expect(await store.get("nodes/a")).toBeUndefined();
    expect(runtime.entries.map(({ event }) => event)).toEqual(["registry.failed"]);
    away = false;
    await turn(11_000);
    expect(ids(b)).toEqual(["a"]);
    expect(runtime.entries.map(({ event }) => event)).toEqual(["registry.failed", "registry.recovered"]);
    for (const each of [a, b]) await each[Symbol.asyncDispose]();
    expect(runtime.pending()).toBe(0);
  });

  test("a list that fails at first settles ready all the same", async () => {
    begin({ watches: 1 });
    const a = join("a");
    const b = join("b");
    await turn();
    let ready = 0;
    for (const each of [a, b]) void each.ready.then(() => ready++);
    await turn();
    expect(ready).toBe(2);
    for (const each of [a, b]) await each[Symbol.asyncDispose]();
  });

  test("what makes no sense is refused", () => {
    begin();
    for (const ttl of [0, 99, NaN, Infinity]) expect(() => join("a", store, ttl)).toThrow(RangeError);
  });

  test("a record in a page that is cut off keeps none from those known", async () => {
    begin();
    const a = join("a");
    const z = join("zzz");
    await turn();
    const many: Promise<number>[] = [];
    for (let at = 0; at < 3000; at++) many.push(store.put(`nodes/${at}`, "nonsense"));
    await Promise.all(many);
    await turn(16_000);
    expect(ids(a)).toEqual(["zzz"]);
    for (const each of [a, z]) await each[Symbol.asyncDispose]();
  });
});
