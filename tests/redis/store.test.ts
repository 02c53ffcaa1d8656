/** The store in Redis, as every store is promised to be: by two commanders, behind the gateway. */

import { CatgaError } from "@catga/catga";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Change, Store } from "@catga/catga/ports";
import { storeConformance, type StoreUnderTest } from "@catga/catga/testing";
import type { Commander } from "../../adapters/redis/commander.ts";
import { redisStore, type RedisStoreOptions } from "../../adapters/redis/store.ts";
import { storeKeys } from "../../adapters/redis/store_scripts.ts";
import { failed, openStand, type RedisStand, sleep } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => void (stand = await openStand()));
afterAll(async () => await stand[Symbol.asyncDispose]());

let names = 0;
/** The name of the stores that were made last. */
const nameOf = (): string => `store ${names - 1}`;

/** Lets runs of a script wait while it is closed. */
function gated(
  commander: Commander,
  name: string,
): Commander & { closed: boolean; readonly waiting: number } {
  let waiting = 0;
  const gate = {
    ...commander,
    closed: false,
    get waiting() {
      return waiting;
    },
    run: async (script, keys, args, options) => {
      waiting++;
      while (gate.closed && script.name === name) await sleep(5);
      waiting--;
      return await commander.run(script, keys, args, options);
    },
  } satisfies Commander & { closed: boolean; readonly waiting: number };
  return gate;
}

async function underTest(): Promise<StoreUnderTest> {
  const name = `store ${names++}`;
  const commanders = [stand.open(), stand.open()] as const;
  const [store, other] = commanders.map((each) => redisStore(each, { name, polling: "fast" }));
  return await Promise.resolve({
    store: store!,
    other: other!,
    pass: sleep,
    close: async () => {
      for (const each of [store!, other!, ...commanders]) await each[Symbol.asyncDispose]();
    },
  });
}

describe("the Redis store is a store", () => {
  for (const { name, run } of storeConformance(underTest)) test(name, run, 30_000);
});

/** Two stores of one name, and what leads to Redis beside them. */
async function both(
  work: (one: Store, two: Store, direct: Commander, name: string) => Promise<void>,
  options: RedisStoreOptions = {},
): Promise<void> {
  const name = `store ${names++}`;
  await using direct = stand.open();
  await using first = stand.open();
  await using second = stand.open();
  await using one = redisStore(first, { name, polling: "fast", ...options });
  await using two = redisStore(second, { name, polling: "fast", ...options });
  await work(one, two, direct, name);
}

/** A watch, and what it has told so far. */
function follow(store: Store, prefix: string, signal?: AbortSignal): {
  readonly told: Map<string, string>;
  readonly changes: Change[];
  readonly ended: Promise<string>;
  readonly ready: Promise<void>;
} {
  const told = new Map<string, string>();
  const changes: Change[] = [];
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const read = async (): Promise<string> => {
    for await (const change of store.watch(prefix, { signal })) {
      changes.push(change);
      if (change.type === "put") told.set(change.entry.key, change.entry.value);
      if (change.type === "delete") told.delete(change.key);
      if (change.type === "ready") resolve();
    }
    return "ended";
  };
  const ended = read().catch((thrown) =>
    CatgaError.is(thrown) ? `${thrown.code}: ${thrown.message}` : String(thrown)
  );
  return { told, changes, ended, ready };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let looks = 0; looks < 500; looks++) {
    if (holds()) return;
    await sleep(10);
  }
  throw new Error(`Expected, but did not happen: ${what}`);
}

describe("the Redis store", () => {
  test("names and keys that look like something else stay apart and come back as they were", async () => {
    await using commander = stand.open();
    const odd = ["a", "a:s", "a}:s", "{a}", "*", "a/b", "\r\n", "a:s}:values", "ü"];
    const stores = odd.map((name) => redisStore(commander, { name }));
    const keys = [...odd, "[a", "(a", "+", "-", "a\u0000b", "k".repeat(512)];
    for (const [at, store] of stores.entries()) for (const key of keys) await store.put(key, `${at} ${key}`);
    for (const [at, store] of stores.entries()) {
      for (const key of keys) expect((await store.get(key))?.value).toBe(`${at} ${key}`);
      expect((await store.list("")).map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
      expect((await store.list("[a")).map(({ key }) => key)).toEqual(["[a"]);
    }
    expect(() => redisStore(commander, { name: "" })).toThrow(RangeError);
  });

  test("31: what is no entry is none, hides no other, and is written over", async () => {
    await both(async (one, two, direct, name) => {
      const [values] = storeKeys(name);
      const before = await one.put("a", "1");
      await one.put("b", "2");
      await direct.send(["HSET", values!, "a", "spoilt"]);
      await direct.send(["HSET", values!, "", "spoilt"]);
      expect(await one.get("a")).toBeUndefined();
      expect((await two.list("")).map(({ key }) => key)).toEqual(["b"]);
      expect(await one.put("a", "3", { expected: "absent" })).toBeGreaterThan(before);
      const watch = follow(two, "");
      await watch.ready;
      await one.put("b", "4");
      await until("it is told", () => watch.told.get("a") === "3" && watch.told.get("b") === "4");
    });
  });

  test("28: all of a name lies in one slot, and no two names share a key", () => {
    const apart = ["a", "a:s", "a}:s", "{a}", "*", "a/b", "\r\n", "ü", "a b"];
    expect(new Set(apart.flatMap(storeKeys)).size).toBe(apart.length * 4);
    for (const name of apart) {
      const tags = storeKeys(name).map((key) => /^(\{[^{}]+\}):[a-z]+$/.exec(key)?.[1]);
      expect(new Set(tags).size).toBe(1);
      expect(tags[0]).toBeDefined();
    }
  });

  test("values that look like numbers, JSON or headers come back as they were", async () => {
    await both(async (one, two) => {
      for (
        const value of ["5", "1e3", "null", "true", `{"a":1}`, "7 0 x", "0 0 ", " ", "", "007", "OK", "T0s="]
      ) {
        await one.put("value", value);
        expect((await two.get("value"))?.value).toBe(value);
        expect((await two.list("value"))[0]?.value).toBe(value);
      }
    });
  });

  test("a list and a watch of many megabytes are read in parts", async () => {
    await both(async (one, two, direct) => {
      const value = "v".repeat(262_144);
      const keys = Array.from({ length: 40 }, (_, at) => `big/${String(at).padStart(2, "0")}`);
      await Promise.all(keys.map((key) => one.put(key, value)));
      const { sent } = direct;
      const listed = await redisStore(direct, { name: nameOf() }).list("big/");
      expect(direct.sent - sent).toBeGreaterThanOrEqual(3);
      expect(listed.map(({ key }) => key)).toEqual(keys);
      expect(listed.every((entry) => entry.value === value)).toBe(true);
      expect((await two.list("big/", { limit: 30, after: keys[4]! })).map(({ key }) => key)).toEqual(
        keys.slice(5, 35),
      );
      const watch = follow(two, "big/");
      await watch.ready;
      expect([...watch.told.keys()]).toEqual(keys);
      await Promise.all(keys.map((key) => one.put(key, `2${value.slice(1)}`)));
      await until("all changes are told", () => [...watch.told.values()].every((each) => each[0] === "2"));
    });
  }, 30_000);

  test("a store that is full refuses writes, and takes them when others' time is over", async () => {
    await both(async (one) => {
      await one.put("a", "", { ttl: 300 });
      await one.put("b", "");
      expect(await failed(one.put("c", ""))).toBe("OVERLOADED");
      await one.put("b", "again");
      await sleep(350);
      await one.put("c", "");
      expect((await one.list("")).map(({ key }) => key)).toEqual(["b", "c"]);
    }, { keys: 2 });
  });

  test("more watches than may be are refused", async () => {
    await both(async (one) => {
      const watch = follow(one, "");
      await watch.ready;
      expect(await follow(one, "").ended).toMatch(/^OVERLOADED/);
    }, { watches: 1 });
  });

  test("F16, G10: revisions grow when Redis has lost its data, and watches break off", async () => {
    await both(async (one, two, direct) => {
      const before = await one.put("a", "1");
      const watch = follow(two, "");
      await watch.ready;
      await direct.send(["FLUSHALL"]);
      expect(await watch.ended).toMatch(/^TRANSPORT: .*no longer knows/);
      expect(await one.put("a", "2", { expected: "absent" })).toBeGreaterThan(before);
    });
  });

  test("a watch notices that its last changes were lost, whatever was written since", async () => {
    await both(async (one, two, direct, name) => {
      await one.put("a", "1");
      const [values, zset, , log] = storeKeys(name);
      // As with a server that has lost the last second.
      for (const key of [values!, zset!, log!]) await direct.send(["COPY", key, `${key}:old`]);
      const watch = follow(two, "");
      await watch.ready;
      await one.put("b", "lost");
      await until("it is told", () => watch.told.has("b"));
      for (const key of [values!, zset!, log!]) await direct.send(["RENAME", `${key}:old`, key]);
      await one.put("c", "");
      expect(await watch.ended).toMatch(/^TRANSPORT: .*no longer knows/);
    });
  });

  test(
    "a watch that missed more changes than are remembered breaks off, and a new one does not",
    async () => {
      await both(async (one, two) => {
        // They do not look meanwhile.
        await using commander = stand.open();
        const gate = gated(commander, "store.changes");
        await using early = redisStore(gate, { name: nameOf(), polling: "fast" });
        await using slow = redisStore(gate, { name: nameOf(), polling: "fast" });
        const empty = follow(early, "");
        await empty.ready;
        gate.closed = true;
        await one.put("first", "");
        const watch = follow(slow, "");
        await watch.ready;
        for (let round = 0; round < 11; round++) {
          await Promise.all(Array.from({ length: 1000 }, (_, at) => one.put(`${at}`, `${round}`)));
        }
        gate.closed = false;
        for (const { ended } of [watch, empty]) expect(await ended).toMatch(/^TRANSPORT: .*no longer knows/);
        const again = follow(two, "");
        await again.ready;
        expect(again.told.size).toBe(1001);
      });
    },
    60_000,
  );

  test("a watch that begins while a look for others is under way misses nothing", async () => {
    await both(async (_, two) => {
      await using commander = stand.open();
      const gate = gated(commander, "store.changes");
      await using store = redisStore(gate, { name: nameOf(), polling: "fast" });
      const first = follow(store, "a/");
      await first.ready;
      gate.closed = true;
      await until("it looks", () => gate.waiting === 1);
      const second = follow(store, "b/");
      await second.ready;
      await two.put("b/1", "");
      gate.closed = false;
      await until("it is told", () => second.told.has("b/1"));
    });
  });

  test("a change is told once, as it is, whether or not a look for it is under way", async () => {
    await both(async (_, two) => {
      await using commander = stand.open();
      const gate = gated(commander, "store.changes");
      await using store = redisStore(gate, { name: nameOf(), polling: "fast" });
      const own = await store.put("gone", "", { ttl: 1000 });
      const watch = follow(store, "");
      await watch.ready;
      gate.closed = true;
      await until("it looks", () => gate.waiting === 1);
      const [mine] = [await store.put("mine", "1"), await two.put("theirs", "1")];
      const theirs = await two.put("theirs", "2");
      await sleep(1000);
      // This one takes away what ran out.
      await store.put("last", "");
      gate.closed = false;
      await until("all is told", () => watch.told.has("last") && !watch.told.has("gone"));
      const told = watch.changes.map((change) => change.type === "put" ? change.entry : change.type);
      expect(told.slice(0, 4)).toEqual([
        { key: "gone", value: "", revision: own },
        "ready",
        { key: "mine", value: "1", revision: mine },
        { key: "theirs", value: "2", revision: theirs },
      ]);
      expect(told).toHaveLength(6);
    });
  });

  test("what a write takes away whose time is over is told", async () => {
    await both(async (_one, _two, direct) => {
      const gate = gated(direct, "store.changes");
      await using store = redisStore(gate, { name: nameOf(), polling: "fast" });
      const watch = follow(store, "");
      await watch.ready;
      gate.closed = true;
      await until("it looks", () => gate.waiting === 1);
      await store.put("gone", "", { ttl: 100 });
      await sleep(150);
      await store.put("last", "");
      gate.closed = false;
      await until("all is told", () => watch.told.has("last") && !watch.told.has("gone"));
    });
  });

  test("a change is told once, however many lie between it and one before", async () => {
    await both(async (_, two, direct) => {
      const gate = gated(direct, "store.changes");
      await using store = redisStore(gate, { name: nameOf(), polling: "fast" });
      const watch = follow(store, "");
      await watch.ready;
      gate.closed = true;
      await two.put("often", "1");
      await Promise.all(Array.from({ length: 300 }, (_, at) => two.put(`${at}`, "")));
      const revision = await two.put("often", "2");
      gate.closed = false;
      await until("all are told", () => watch.told.get("often") === "2" && watch.told.size === 301);
      const told = watch.changes.filter((change) => change.type === "put" && change.entry.key === "often");
      expect(told).toEqual([{ type: "put", entry: { key: "often", value: "2", revision } }]);
    });
  });

  test("a watch that takes long to begin hinders no other", async () => {
    await both(async (_, two) => {
      await using commander = stand.open();
      const gate = gated(commander, "store.list");
      await using store = redisStore(gate, { name: nameOf(), polling: "fast" });
      const leaving = new AbortController();
      const first = follow(store, "a/", leaving.signal);
      await first.ready;
      gate.closed = true;
      const second = follow(store, "b/");
      for (const key of ["a/1", "b/1", "a/2", "a/3", "a/4"]) {
        await two.put(key, "");
        await sleep(110);
      }
      await until("all are told", () => first.told.size === 4);
      leaving.abort();
      await sleep(700);
      gate.closed = false;
      await until("the other too", () => second.told.has("b/1"));
      await two.put("b/2", "");
      await until("it goes on", () => second.told.has("b/2"));
    });
  });

  test("watches that begin while others go on miss nothing", async () => {
    await both(async (one, two) => {
      let writing = true;
      const writers = [one, two].map(async (store, lane) => {
        for (let at = 0; writing; at++) {
          const key = `${"abc"[at % 3]}/${(at * 7 + lane) % 20}`;
          if (at % 5 === 4) await store.delete(key);
          else await store.put(key, `${lane} ${at}`);
        }
      });
      const watches: [string, ReturnType<typeof follow>][] = [];
      for (let round = 0; round < 12; round++) {
        const prefix = ["", "a/", "b/", "c/", "a/1"][round % 5]!;
        watches.push([prefix, follow(round % 2 === 0 ? one : two, prefix)]);
        await sleep(30);
      }
      writing = false;
      await Promise.all(writers);
      for (const prefix of ["a/1", "b/", "c/"]) await one.put(`${prefix}end`, "");
      for (const [prefix, { told }] of watches) {
        const ends = ["a/1end", "b/end", "c/end"].filter((key) => key.startsWith(prefix));
        await until(`${prefix} is told all`, () => ends.every((key) => told.has(key)));
        const there = (await two.list(prefix)).map(({ key, value }) => [key, value]);
        expect([...told].toSorted(([a], [b]) => a < b ? -1 : 1)).toEqual(there as [string, string][]);
      }
    });
  }, 30_000);
});

test(
  "F16: what was acknowledged is there after Redis was killed, and watches go on or break off",
  async () => {
    await using own = await openStand();
    await using commander = own.open();
    await using store = redisStore(commander, { polling: "fast" });
    const kept = new Map<string, number>();
    const watch = follow(store, "");
    await watch.ready;
    let writing = true;
    const writers = ["a", "b", "c", "d"].map(async (lane) => {
      for (let at = 0; writing; at++) {
        const key = `${lane}/${at}`;
        await store.put(key, key).then((revision) => kept.set(key, revision), () => sleep(20));
      }
    });
    for (let round = 1; round <= 3; round++) {
      await until("some are kept", () => kept.size > round * 50);
      await own.server.restart();
    }
    const { size } = kept;
    await until("it is reached again", () => kept.size > size + 50);
    writing = false;
    await Promise.all(writers);
    let highest = 0;
    for (const [key, revision] of kept) {
      expect((await store.get(key))?.revision).toBe(revision);
      highest = Math.max(highest, revision);
    }
    expect(await store.put("after", "")).toBeGreaterThan(highest);
    const after = follow(store, "");
    await after.ready;
    expect([...kept.keys()].every((key) => after.told.has(key))).toBe(true);
  },
  60_000,
);

describe("with the default profile", () => {
  test("a write of this process and what runs out are told long before the next look is due", async () => {
    await both(async (one, two) => {
      const watch = follow(one, "");
      await watch.ready;
      await one.put("mine", "1", { ttl: 700 });
      await until("it is told", () => watch.told.has("mine"));
      // Something of another is between, so it has to look.
      await two.put("theirs", "2");
      await one.put("mine too", "3");
      await until("both are told", () => watch.told.has("mine too") && watch.told.has("theirs"));
      await until("what ran out is told", () => !watch.told.has("mine"));
    }, { polling: "default" });
  });

  test("writes that nobody here watches are not looked for", async () => {
    await both(async (_, two) => {
      await using watching = stand.open();
      await using store = redisStore(watching, { name: nameOf() });
      const watch = follow(store, "watched/");
      await watch.ready;
      await two.put("other", "");
      const { sent } = watching;
      for (let at = 0; at < 20; at++) await store.put(`unwatched/${at}`, "");
      await sleep(50);
      // It looks now and then by itself.
      expect(watching.sent - sent).toBeLessThan(26);
    }, { polling: "default" });
  });
});
