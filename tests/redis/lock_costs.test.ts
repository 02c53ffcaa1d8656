/** What it costs a node to hold leases and to wait for them: on a clock that is told to go on, with a Redis made up. */

import { command, type } from "@catga/catga";
import { describe, expect, test } from "bun:test";
import {
  acquireLease,
  createCache,
  createLocks,
  createSagas,
  type Lease,
  leaseWorker,
  saga,
  type Sagas,
  startRelay,
  startScheduler,
} from "@catga/catga/durable";
import { memoryStorage } from "@catga/catga/memory";
import type { Runtime } from "@catga/catga/ports";
import type { PollingProfile } from "../../adapters/redis/budget.ts";
import type { Commander } from "../../adapters/redis/commander.ts";
import { type RedisStore, redisStore } from "../../adapters/redis/store.ts";
import type { Reply } from "../../adapters/redis/wire.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

const MINUTE = 60_000;

type Line = { readonly revision: number; readonly key: string; readonly type: "p" | "d" };
type Kept = { readonly revision: number; readonly value: string; readonly until: number };

/** Does what the scripts of the store do, for all nodes that reach it. */
class MadeUpRedis {
  readonly time: FakeRuntime = fakeRuntime();
  readonly #kept: Map<string, Kept> = new Map();
  readonly #log: Line[] = [];
  #last = 0;

  run(name: string, args: readonly string[]): Reply {
    const now = this.time.clock.mono();
    for (const [key, { until }] of this.#kept) if (until <= now) this.#drop(key);
    const [key = "", value = "", third = ""] = args;
    switch (name) {
      case "store.get": {
        const found = this.#kept.get(key);
        return found === undefined ? null : [found.revision, found.value];
      }
      case "store.write":
        return this.#write(args, now);
      case "store.list": {
        const keys = [...this.#kept.keys()].filter((each) => each.startsWith(value)).sort();
        const from = key.slice(1);
        const some = keys.filter((each) => key.startsWith("[") ? each >= from : each > from);
        return [this.#last, 0, some.slice(0, Number(third)).map((each) => this.#listed(each))];
      }
      case "store.changes": {
        const news = this.#log.filter(({ revision }) => revision > Number(key));
        const changes = news.filter((line) => args.slice(1).some((prefix) => line.key.startsWith(prefix)))
          .filter((line) =>
            (this.#kept.get(line.key)?.revision ?? (line.type === "d" ? line.revision : 0)) === line.revision
          )
          .map((line) => line.type === "p" ? this.#listed(line.key) : [line.revision, line.key]);
        return ["known", this.#last, 0, changes];
      }
      default:
        throw new Error(`${name} is not known`);
    }
  }

  #write([kind, key = "", value = "", expected = "", ttl = ""]: readonly string[], now: number): Reply {
    const before = this.#last;
    const found = this.#kept.get(key);
    if (!fits(expected, found)) return ["conflict", found?.revision ?? 0];
    if (kind === "d") return found === undefined ? ["done", 0, -1] : ["done", this.#drop(key), before];
    const revision = this.#tell("p", key);
    this.#kept.set(key, { revision, value, until: ttl === "" ? Infinity : now + Number(ttl) });
    return ["done", revision, before];
  }

  #listed(key: string): Reply {
    const { revision, value, until } = this.#kept.get(key)!;
    return [revision, key, value, until === Infinity ? -1 : until - this.time.clock.mono()];
  }

  #drop(key: string): number {
    this.#kept.delete(key);
    return this.#tell("d", key);
  }

  #tell(type: "p" | "d", key: string): number {
    this.#last = Math.max(this.#last + 1, this.time.clock.mono() * 1000);
    this.#log.push({ revision: this.#last, key, type });
    if (this.#log.length > 1000) this.#log.shift();
    return this.#last;
  }
}

function fits(expected: string, found: Kept | undefined): boolean {
  if (expected === "") return true;
  return expected === "absent" ? found === undefined : Number(expected) === found?.revision;
}

interface Node {
  readonly runtime: Runtime;
  readonly store: RedisStore;
  readonly sent: Record<string, number>;
  /** It is answered no more. */
  end(): void;
}

function open(server: MadeUpRedis, polling: PollingProfile): Node {
  const sent: Record<string, number> = {};
  let isGone = false;
  let last = nodes++;
  const u32 = (): number => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0;
  const runtime: Runtime = {
    ...server.time,
    random: { u32 },
    background: (work) => void work.catch(() => {}),
  };
  const commander: Commander = {
    runtime,
    sent: 0,
    send: () => Promise.reject(new Error("nothing is sent")),
    run: async ({ name }, _keys, args = []) => {
      if (isGone) return await new Promise<never>(() => {});
      sent[name] = (sent[name] ?? 0) + 1;
      await new Promise<void>((resolve) => void server.time.clock.timer(5, resolve));
      return server.run(name, args.map(String));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { runtime, store: redisStore(commander, { polling }), sent, end: () => isGone = true };
}
let nodes = 0;

/** What each of two nodes sends a minute, on the average of many, of which the first comes first. */
async function costs(
  begin: (node: Node, owner: string) => void,
  polling: PollingProfile = "default",
): Promise<readonly { readonly all: number; readonly sent: Record<string, number> }[]> {
  const server = new MadeUpRedis();
  const both = [open(server, polling), open(server, polling)];
  for (const [at, node] of both.entries()) {
    begin(node, `node ${at}`);
    await server.time.advance(5000);
  }
  await server.time.advance((polling === "fast" ? 0.5 : 3) * MINUTE);
  const before = both.map(({ sent }) => ({ ...sent }));
  const minutes = polling === "fast" ? 1 : 10;
  await server.time.advance(minutes * MINUTE);
  return both.map(({ sent }, at) => {
    const rates = Object.fromEntries(
      Object.entries(sent).map(([name, count]) => [name, (count - (before[at]![name] ?? 0)) / minutes]),
    );
    return { all: Object.values(rates).reduce((sum, rate) => sum + rate, 0), sent: rates };
  });
}

const Order = command("order", { input: type<string>(), output: type<string>() });

type Begin = (node: Node, owner: string) => void;

const lease = (ttl: number): Begin => ({ store, runtime }, owner) =>
  void acquireLease("x", { store, runtime, owner, ttl }).catch(() => {});

const features: Readonly<Record<string, Begin>> = {
  "a lease of 1 s": lease(1000),
  "a lease of 5 s": lease(5000),
  "a lease of 10 s": lease(10_000),
  "a lease of 30 s": lease(30_000),
  "a relay": ({ store, runtime }, owner) =>
    void startRelay({ store, runtime, owner, queue: memoryStorage(runtime.clock).queue }),
  "a relay with a ttl and a poll of 30 s": ({ store, runtime }, owner) =>
    void startRelay({
      store,
      runtime,
      owner,
      queue: memoryStorage(runtime.clock).queue,
      ttl: 30_000,
      poll: 30_000,
    }),
  "a scheduler": ({ store, runtime }, owner) =>
    void startScheduler({
      store,
      runtime,
      owner,
      deliver: () => Promise.reject(new Error("nothing is due")),
    }),
  sagas: ({ store, runtime }, owner) => {
    const definitions = [saga(Order, () => Promise.resolve(""))];
    createSagas({ store, runtime, owner, definitions }).start({} as Parameters<Sagas["start"]>[0]);
  },
  "a worker id": ({ store, runtime }, owner) => void leaseWorker({ store, runtime, owner }).catch(() => {}),
  locks: ({ store, runtime }, owner) => void createLocks({ store, runtime, owner }),
  "a cache with near values": ({ store, runtime }) => {
    const cache = createCache({ store, runtime, namespace: "a", value: type<number>(), near: {} });
    void cache.getOrSet("a", () => 1);
  },
};

describe("what an idle node sends a minute with the default profile, as docs/redis.md says", () => {
  test.each(
    [
      ["a lease of 1 s", 180, 10],
      ["a lease of 5 s", 36, 10],
      ["a lease of 10 s", 18, 10],
      ["a lease of 30 s", 6, 5],
      ["a relay", 125, 10],
      ["a relay with a ttl and a poll of 30 s", 13, 5],
      ["a scheduler", 214, 10],
      ["sagas", 46, 46],
      ["a worker id", 36, 36],
      ["locks", 0, 0],
      ["a cache with near values", 5, 5],
    ] as const,
  )("%s: %i who has it, %i who waits for it or has one too", async (name, first, second) => {
    const [one, two] = await costs(features[name]!);
    expect([Math.round(one!.all), Math.round(two!.all)]).toEqual([first, second]);
    // Who waits does not read the lease beside its watch.
    if (name.startsWith("a lease")) expect(two!.sent["store.get"] ?? 0).toBeLessThan(0.1);
  }, 30_000);

  test("with the fast one, who waits for a lease sends 600 at most", async () => {
    const [one, two] = await costs(features["a lease of 1 s"]!, "fast");
    expect(one!.all).toBeLessThanOrEqual(181);
    expect(two!.all).toBeLessThanOrEqual(600);
  }, 30_000);
});

describe("a lease whose holder is gone", () => {
  test.each(
    [["fast", 1000, 300], ["fast", 5000, 300], ["default", 1000, 12_500], [
      "default",
      30_000,
      12_500,
    ]] as const,
  )(
    "comes to who waits in time: %s, %i ms, %i ms later at most",
    async (polling, ttl, late) => {
      for (let seed = 0; seed < 5; seed++) {
        const server = new MadeUpRedis();
        const { clock } = server.time;
        const [a, b] = [open(server, polling), open(server, polling)];
        await acquired(server, a, "a", ttl);
        let got: number | undefined;
        void acquireLease("x", { ...b, owner: "b", ttl }).then(() => got = clock.mono());
        await server.time.advance((polling === "fast" ? 5000 : MINUTE) + seed * 1234);
        expect(got).toBeUndefined();
        a.end();
        const gone = clock.mono();
        while (got === undefined) await server.time.advance(1000);
        expect(got - gone).toBeLessThanOrEqual(ttl + late);
      }
    },
    30_000,
  );
});

async function acquired(server: MadeUpRedis, node: Node, owner: string, ttl: number): Promise<Lease> {
  let lease: Lease | undefined;
  void acquireLease("x", { ...node, owner, ttl }).then((got) => lease = got);
  await server.time.advance(100);
  expect(lease).toBeDefined();
  return lease!;
}

describe("renewals", () => {
  test("that alone are more than all looking may take are counted and said, once", async () => {
    const server = new MadeUpRedis();
    const node = open(server, "default");
    const lease = await acquired(server, node, "a", 1000);
    await server.time.advance(5 * MINUTE);
    expect(node.store.renewed).toBe(900);
    const said = () => server.time.entries.map(({ level, event, fields }) => [level, event, fields]);
    const word = ["warn", "redis.renewals", { perMinute: 180, most: 30 }];
    expect(said()).toEqual([word]);
    // Once it was otherwise, it is said again.
    void lease.release();
    const longer = await acquired(server, node, "a", 30_000);
    await server.time.advance(5 * MINUTE);
    void longer.release();
    expect(said()).toEqual([word]);
    await acquired(server, node, "a", 1000);
    await server.time.advance(5 * MINUTE);
    expect(said()).toHaveLength(2);
  });

  test("are not what is written anew, or for another time", async () => {
    const server = new MadeUpRedis();
    const { store } = open(server, "default");
    const work = async (): Promise<void> => {
      for (let times = 0; times < 100; times++) {
        await store.put("a", "", { ttl: 1000 });
        const revision = await store.put("b", "claim", { ttl: 1000 });
        await store.put("b", "value", { ttl: 60_000, expected: revision });
      }
    };
    void work();
    await server.time.advance(5 * MINUTE);
    expect(store.renewed).toBe(0);
  });

  test("of what a node watches itself are no reason to look, though others write all the time", async () => {
    const server = new MadeUpRedis();
    const [a, b] = [open(server, "default"), open(server, "default")];
    await acquired(server, a, "a", 2000);
    void (async () => {
      for await (const _ of a.store.watch(""));
    })().catch(() => {});
    void acquireLease("y", { ...b, owner: "b", ttl: 1700 });
    await server.time.advance(5 * MINUTE);
    const { "store.changes": before = 0 } = a.sent;
    await server.time.advance(5 * MINUTE);
    expect(a.sent["store.changes"]! - before).toBeLessThanOrEqual(50);
  });

  test("of another do not keep a watch from looking as rarely as when nothing happens, but changes do", async () => {
    for (const [value, least, most] of [["same", 25, 26], ["new", 45, 50]] as const) {
      const server = new MadeUpRedis();
      const [a, b] = [open(server, "default"), open(server, "default")];
      void (async () => {
        for await (const _ of a.store.watch(""));
      })().catch(() => {});
      void (async () => {
        for (let times = 0;; times++) {
          await b.store.put("x", value === "new" ? `${times}` : value, { ttl: 60_000 });
          await new Promise<void>((resolve) => void server.time.clock.timer(3000, resolve));
        }
      })();
      await server.time.advance(5 * MINUTE);
      const { "store.changes": before = 0 } = a.sent;
      await server.time.advance(5 * MINUTE);
      expect(a.sent["store.changes"]! - before).toBeGreaterThanOrEqual(least);
      expect(a.sent["store.changes"]! - before).toBeLessThanOrEqual(most);
    }
  });
});
