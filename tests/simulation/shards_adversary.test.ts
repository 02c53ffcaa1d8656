/** Shards and the leader where handlers are slow, records are rubbish, watches lag and nodes leave at a bad time. */

import { describe, expect, test } from "bun:test";
import {
  CatgaError,
  command,
  type Context,
  createMediator,
  handle,
  query,
  type Result,
  type SendOptions,
  systemFault,
  type,
} from "@catga/catga";
import { type ClusterOptions, joinCluster, type Node } from "@catga/catga/cluster";
import type { Behavior } from "@catga/catga/behaviors";
import type { Store } from "@catga/catga/ports";
import { simulate, type SimulatedStore, simulatedStore, type Simulation } from "@catga/catga/testing";
import { rendezvous } from "../../src/cluster/rendezvous.ts";
import { drain } from "./drain.ts";

const COUNT = 64;
interface Work {
  readonly key: string;
  /** How long it takes, in ms. */
  readonly ms?: number;
  /** What is sent then. */
  readonly then?: "helper" | string;
}
const Put = command("put", {
  input: type<Work>(),
  output: type<string>(),
  shard: { key: ({ key }) => key, count: COUNT },
  timeout: 20_000,
});
/** Belongs to no shard, and sends to one. */
const Help = query("help", { input: type<Work>(), output: type<string>() });
const Brief = command("brief", {
  input: type<Work>(),
  output: type<string>(),
  shard: { key: ({ key }) => key, count: COUNT, group: "put" },
  timeout: 400,
  idempotent: true,
});

const world = (seed: number) => ({ seed, ...(drain === undefined ? {} : { drain }) });

interface Sent {
  result?: Result<string>;
  /** When it had its result, in ms. */
  at?: number;
}

class Fleet {
  readonly nodes: Map<string, Node> = new Map();
  readonly aborted: string[] = [];
  readonly ended: string[] = [];
  readonly store: SimulatedStore;
  readonly #simulation: Simulation;
  readonly #network;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#network = simulation.network({ latency: [0.2, 2] });
    this.store = simulatedStore(simulation);
  }

  async join(
    name: string,
    options: Partial<ClusterOptions> & { serves?: boolean; change?: (store: Store) => Store } = {},
  ) {
    const { serves = true, change = (store) => store, ...rest } = options;
    const runtime = this.#simulation.runtime(name);
    const { backend } = this.#network;
    const work = async ({ key, ms = 0, then }: Work, context: Context): Promise<string> => {
      context.signal.addEventListener("abort", () => this.aborted.push(`${name} ${key}`));
      if (ms > 0) await new Promise<void>((resolve) => void runtime.clock.timer(ms, resolve));
      this.ended.push(key);
      if (then === undefined) return name;
      const inner = then === "helper" ? Help({ key }) : Put({ key: then });
      const result = await context.send(inner, then === "helper" ? { route: own } : {});
      return result.ok ? name : result.error.message;
    };
    const help = async ({ key }: Work, context: Context): Promise<string> => {
      const result = await context.send(Put({ key }));
      return result.ok ? result.value : result.error.message;
    };
    const handlers = serves
      ? [handle(Put, work), handle(Brief, work, { behaviors: [pass] }), handle(Help, help)]
      : [];
    void joinCluster(createMediator({ runtime, handlers }), {
      node: name,
      endpoint: `sim:${name}`,
      backend: {
        ...backend,
        open: (host) => ({ ...backend.open(host), store: change(this.store.open(host.runtime)) }),
      },
      timing: "fast",
      drain: 3000,
      ...rest,
    }).then((node) => this.nodes.set(name, node));
    expect(await this.until(() => this.nodes.has(name))).toBe(true);
    return this.nodes.get(name)!;
  }

  owned(name: string): number {
    return this.nodes.get(name)!.inspect().shards.filter(({ here }) => here === "owned").length;
  }

  settled(...names: string[]): boolean {
    const { owner } = rendezvous(names.map((id) => ({ id })));
    return names.every((name) =>
      this.nodes.get(name)!.inspect().shards.every(({ index, owner: found, here }) => {
        const wanted = owner(`put/${index}`);
        return found === wanted && (here === "owned") === (wanted === name);
      })
    );
  }

  until(condition: () => boolean, ms = 20_000): Promise<boolean> {
    return this.#simulation.until(condition, ms);
  }

  send(from: string, message: ReturnType<typeof Put | typeof Brief>, options?: SendOptions): Sent {
    const sent: Sent = {};
    void this.nodes.get(from)!.send(message, options).then((result) => {
      sent.result = result;
      sent.at = this.#simulation.time;
    });
    return sent;
  }

  /** Keys of different shards that a node has. */
  keysOf(name: string): string[] {
    const keys = new Map<number, string>();
    for (let n = 0; n < 2000; n++) {
      const { shard } = this.nodes.get(name)!.explain(Put({ key: `k${n}` }));
      if (shard?.here === "owned" && !keys.has(shard.index)) keys.set(shard.index, `k${n}`);
    }
    return [...keys.values()];
  }
}

/** A layer that does nothing, but is there. */
const pass: Behavior = (next) => (context) => next(context);

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

const own = (_call: unknown, nodes: readonly { readonly id: string; readonly local: boolean }[]) =>
  nodes.find(({ local }) => local) as never;

describe("shards find an owner", () => {
  test("though the store has rubbish where their records belong", async () => {
    await simulate(world(1), async (simulation) => {
      const fleet = new Fleet(simulation);
      const store = fleet.store.open(simulation.runtime("z"));
      void store.put("shards/of/put/0", "rubbish");
      void store.put("shards/of/put/1", JSON.stringify({ owner: "ghost", session: "shards/of/put/0" }));
      void store.put("shards/of/put/2", JSON.stringify({ owner: "ghost", session: "s".repeat(1000) }));
      void store.put("shards/of/put/003", JSON.stringify({ owner: "ghost", session: "shards/by/ghost/1" }));
      await simulation.run(20);
      await fleet.join("a");
      expect(await fleet.until(() => fleet.settled("a"), 3000)).toBe(true);
    });
  });

  test("at once where another node gives many away that are slow to end", async () => {
    await simulate(world(2), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a", { shards: { moves: 64 } });
      await fleet.join("b", { shards: { moves: 64 } });
      expect(await fleet.until(() => fleet.settled("a", "b"))).toBe(true);
      const slow = fleet.keysOf("a").map((key) => fleet.send("a", Put({ key, ms: 2500 })));
      await simulation.run(20);
      await fleet.join("c");
      await fleet.join("d");
      const leaving = (): number =>
        fleet.nodes.get("a")!.inspect().shards.filter(({ here }) => here === "leaving").length;
      expect(await fleet.until(() => leaving() >= 16, 2000)).toBe(true);
      void fleet.nodes.get("b")!.leave();
      const gone = (): boolean =>
        fleet.nodes.get("a")!.inspect().shards.every(({ owner }) => owner !== undefined && owner !== "b");
      expect(await fleet.until(gone, 700)).toBe(true);
      expect(slow.some(({ result }) => result !== undefined)).toBe(false);
    });
  });

  test("at once where nothing is at work, when their node leaves while others are slow to end", async () => {
    await simulate(world(3), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a");
      await fleet.join("b");
      expect(await fleet.until(() => fleet.settled("a", "b"))).toBe(true);
      const keys = fleet.keysOf("a");
      expect(keys.length).toBeGreaterThan(24);
      const slow = keys.slice(0, -4).map((key) => fleet.send("a", Put({ key, ms: 2000 })));
      await simulation.run(20);
      void fleet.nodes.get("a")!.leave();
      await simulation.run(200);
      const idle = keys.slice(-4).map((key) => fleet.send("b", Put({ key })));
      expect(await fleet.until(() => idle.every(({ result }) => result !== undefined), 700)).toBe(true);
      expect(await fleet.until(() => slow.every(({ result }) => result?.ok === true), 3000)).toBe(true);
      expect(fleet.aborted).toEqual([]);
    });
  });

  test("at once when the leader leaves, however long its tasks take to end", async () => {
    await simulate(world(4), async (simulation) => {
      const fleet = new Fleet(simulation);
      const a = await fleet.join("a");
      await fleet.join("b");
      expect(await fleet.until(() => fleet.settled("a", "b") && a.leader?.local === true)).toBe(true);
      const { clock } = simulation.runtime("a");
      a.singleton("slow", (signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => clock.timer(2500, resolve));
        }));
      await simulation.run(50);
      void a.leave();
      expect(await fleet.until(() => fleet.settled("b"), 700)).toBe(true);
    });
  });
});

describe("what is at work because of a shard that is given away", () => {
  test("may send to it through what belongs to none", async () => {
    await simulate(world(5), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a");
      await fleet.join("b");
      expect(await fleet.until(() => fleet.settled("a", "b"))).toBe(true);
      const calls = fleet.keysOf("a").slice(0, 10).map((key) =>
        fleet.send("a", Put({ key, ms: 500, then: "helper" }))
      );
      await simulation.run(20);
      void fleet.nodes.get("a")!.leave();
      expect(await fleet.until(() => calls.every(({ result }) => result !== undefined), 1500)).toBe(true);
      expect(calls.map(({ result }) => result)).toEqual(calls.map(() => ({ ok: true, value: "a" })));
      expect(fleet.aborted).toEqual([]);
    });
  });

  test("does not wait for what waits for it", async () => {
    await simulate(world(6), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a");
      await fleet.join("b");
      expect(await fleet.until(() => fleet.settled("a", "b"))).toBe(true);
      const [x, y] = fleet.keysOf("a") as [string, string];
      const calls = [
        fleet.send("a", Put({ key: x, ms: 500, then: y })),
        fleet.send("a", Put({ key: y, ms: 500, then: x })),
      ];
      await simulation.run(20);
      void fleet.nodes.get("a")!.leave();
      expect(await fleet.until(() => calls.every(({ result }) => result !== undefined), 1500)).toBe(true);
      expect(calls.map(({ result }) => result)).toEqual(calls.map(() => ({ ok: true, value: "a" })));
      expect(fleet.aborted).toEqual([]);
    });
  });

  test("is waited for though it is the second try of a layer around the sending", async () => {
    await simulate(world(7), async (simulation) => {
      const fleet = new Fleet(simulation);
      const twice: Behavior = (next) => async (context) => {
        const first = await next(context);
        return first.ok ? first : await next(context);
      };
      await fleet.join("a", { behaviors: [twice] });
      await fleet.join("b");
      expect(await fleet.until(() => fleet.settled("a", "b"))).toBe(true);
      const key = fleet.keysOf("a")[0]!;
      // The first try is given up after 400 ms and ends after 500; the second begins and would end after 900.
      let tries = 0;
      const message = Brief({
        key,
        get ms() {
          return tries++ === 0 ? 500 : 350;
        },
      });
      const call = fleet.send("a", message, { headers: { so: "that an origin is shared" } });
      await simulation.run(450);
      void fleet.nodes.get("a")!.leave();
      await simulation.run(150);
      const { shards } = fleet.nodes.get("a")!.inspect();
      const { index } = fleet.nodes.get("b")!.explain(Put({ key })).shard!;
      expect(fleet.ended).toEqual([key]);
      expect(shards[index]!.here).toBe("leaving");
      expect(await fleet.until(() => call.result?.ok === true, 1000)).toBe(true);
    });
  });
});

test("a call that waited for an owner has no more time than its contract says", async () => {
  await simulate(world(8), async (simulation) => {
    const fleet = new Fleet(simulation);
    let closed = true;
    const change = (store: Store): Store =>
      changed(store, {
        put: (key, value, options) =>
          closed && key.startsWith("shards/of/")
            ? Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "closed")))
            : store.put(key, value, options),
      });
    await fleet.join("a", { change });
    await simulation.run(500);
    const since = simulation.time;
    const call = fleet.send("a", Brief({ key: "k", ms: 350 }));
    await simulation.run(50);
    closed = false;
    expect(await fleet.until(() => fleet.owned("a") === COUNT, 300)).toBe(true);
    expect(await fleet.until(() => call.result !== undefined)).toBe(true);
    expect(call.at! - since).toBeLessThan(410);
    expect(call.result).toMatchObject({ ok: false, error: { code: "TIMEOUT" } });
  });
});

test("calls that wait for an owner are waited for by a node that leaves, and fail when it has left", async () => {
  await simulate(world(9), async (simulation) => {
    const fleet = new Fleet(simulation);
    fleet.store.cut("b");
    await fleet.join("b");
    const s = await fleet.join("s", { serves: false, drain: 1500 });
    await fleet.until(() => s.explain(Put({ key: "k" })).candidates.length === 1);
    const first = fleet.send("s", Put({ key: "k" }));
    await simulation.run(100);
    let left = 0;
    void s.leave().then(() => left = simulation.time);
    expect(await fleet.until(() => left > 0, 5000)).toBe(true);
    expect(left).toBeGreaterThan(1500);
    expect(await fleet.until(() => first.result !== undefined, 300)).toBe(true);
    expect(first.result).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining("has left") },
    });
  });
});

test("a watch that lags does not bring an earlier leader back", async () => {
  await simulate(world(10), async (simulation) => {
    const fleet = new Fleet(simulation);
    const b = await fleet.join("b", { serves: false });
    expect(await fleet.until(() => b.leader?.local === true)).toBe(true);
    let lags = false;
    const change = (store: Store): Store =>
      changed(store, {
        async *watch(prefix, options) {
          for await (const change of store.watch(prefix, options)) {
            if (!lags || prefix !== "leader") yield change;
          }
        },
      });
    const a = await fleet.join("a", { serves: false, change });
    expect(await fleet.until(() => a.leader?.id === "b")).toBe(true);
    lags = true;
    void b.leave();
    expect(await fleet.until(() => a.leader?.local === true)).toBe(true);
    const { term } = a.leader!;
    void a.resign();
    await simulation.run(50);
    expect(a.leader?.term ?? Infinity).toBeGreaterThanOrEqual(term!);
  });
});

test("a node lets go of what the store says is another's, whatever its clock says", async () => {
  await simulate(world(11), async (simulation) => {
    const fleet = new Fleet(simulation);
    await fleet.join("a");
    expect(await fleet.until(() => fleet.settled("a"))).toBe(true);
    const key = fleet.keysOf("a")[0]!;
    const { index } = fleet.nodes.get("a")!.explain(Put({ key })).shard!;
    fleet.send("a", Put({ key, ms: 60_000 }));
    const store = fleet.store.open(simulation.runtime("z"));
    void store.put("shards/by/z/1-x", "{}");
    void store.put(`shards/of/put/${index}`, JSON.stringify({ owner: "z", session: "shards/by/z/1-x" }));
    await simulation.run(50);
    expect(fleet.nodes.get("a")!.inspect().shards[index]).toMatchObject({ owner: "z", here: undefined });
    expect(fleet.aborted).toEqual([`a ${key}`]);
  });
});
