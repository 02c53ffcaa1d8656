/** The store on NATS, as every store is promised to be: by two connections to a real server, with clocks far apart. */

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { headers } from "@nats-io/nats-core";
import type { Change } from "@catga/catga/ports";
import { storeConformance, type StoreUnderTest } from "@catga/catga/testing";
import type { AskOptions, Link } from "../../adapters/nats/link.ts";
import { natsStore } from "../../adapters/nats/store.ts";
import { beside } from "../support/beside.ts";
import { type NatsServer, startNats } from "./server.ts";
import { failureOf, storesOn, until } from "./store_support.ts";
import { openLink } from "./support.ts";

const test = beside(8, () => storesOn(server));
/** For those that keep the machine busy, after all others: their times go by. */
const alone = beside(2, () => storesOn(server));
let server: NatsServer;

beforeAll(async () => void (server = await startNats()));
afterAll(() => server[Symbol.asyncDispose]());

async function underTest(): Promise<StoreUnderTest> {
  const stores = storesOn(server);
  const [one, two] = [await stores.open(), await stores.open()];
  const pass = async (ms: number): Promise<void> => void await sleep(ms);
  return { store: one.store, other: two.store, pass, close: async () => await stores[Symbol.asyncDispose]() };
}

describe("the NATS store is a store, whatever the clocks of its users show", () => {
  for (const { name, run } of storeConformance(underTest)) test(name, run);
});

describe("keys and values", () => {
  test("keys of 512 characters of any kind are kept, listed and watched", async (stores) => {
    const [{ store }, { store: other }] = [await stores.open(), await stores.open()];
    const keys = [
      "k".repeat(512),
      "語".repeat(512),
      "😀".repeat(256),
      "/".repeat(512),
      `a/${"/".repeat(300)}b`,
      "a/".repeat(256),
      `a/b/${"x".repeat(300)}/c`,
      `a/b/${"x".repeat(300)}/d`,
      "*/>/$JS/_clock",
      "_clock",
      "_h",
      "\r\n\u2028\u0000 ",
    ];
    const changes: Change[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const change of other.watch("", { signal: stop.signal })) changes.push(change);
    })();
    await until("the watch is ready", () => changes.some(({ type }) => type === "ready"));
    for (const key of keys) await store.put(key, `value of ${key}`, { expected: "absent" });
    for (const key of keys) expect((await other.get(key))?.value).toBe(`value of ${key}`);
    expect((await other.list("")).map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
    expect((await other.list("a/b/xx")).map(({ key }) => key)).toEqual([keys[6]!, keys[7]!]);
    for (const key of keys) {
      expect(
        (await other.list(key.slice(0, 400).toWellFormed().replace("\ufffd", ""))).map((each) => each.key),
      )
        .toContain(key);
      await store.delete(key);
    }
    await until("all is told", () => changes.filter(({ type }) => type === "delete").length === keys.length);
    expect(changes.flatMap((change) => change.type === "put" ? [change.entry.key] : [])).toEqual(keys);
    expect(changes.flatMap((change) => change.type === "delete" ? [change.key] : [])).toEqual(keys);
    stop.abort();
    await watching;
  });

  test("a value of 262,144 characters of three bytes each is kept", async (stores) => {
    const [{ store }, { store: other }] = [await stores.open(), await stores.open()];
    const value = "語".repeat(262_144);
    await store.put("long", value);
    expect((await other.get("long"))!.value === value).toBe(true);
    expect((await other.list("long"))[0]!.value === value).toBe(true);
  });

  test("a byte order mark is a character as any other", async (stores) => {
    const { store } = await stores.open();
    await store.put("\ufeffa", "\ufeffb");
    expect((await store.get("\ufeffa"))?.value).toBe("\ufeffb");
    expect((await store.list("\ufeff"))[0]).toMatchObject({ key: "\ufeffa", value: "\ufeffb" });
  });

  test("what is larger than the server takes is refused, and the connection stays", async () => {
    await using small = await startNats({ settings: "max_payload: 100000" });
    await using link = await openLink(small.ws);
    await using store = await natsStore(link);
    expect(await failureOf(store.put("a", "v".repeat(100_000)))).toBe("VALIDATION");
    await store.put("a", "v".repeat(50_000));
  });
});

describe("time to live", () => {
  test("what is gone for one is gone for all, at once", async (stores) => {
    const [{ store }, { store: other }] = [await stores.open(), await stores.open()];
    for (let round = 0; round < 5; round++) {
      const revision = await store.put("a", "", { ttl: 100 });
      await until("it is gone", async () => await other.get("a") === undefined);
      expect(await store.get("a")).toBeUndefined();
      expect(await failureOf(store.put("a", "", { expected: revision, ttl: 100 }))).toBe("CONFLICT");
      expect(await failureOf(store.delete("a", { expected: revision }))).toBe("CONFLICT");
    }
  });

  test("a list leaves out what is over, whether or not anybody has noticed", async (stores) => {
    const { store } = await stores.open();
    const keys = Array.from({ length: 300 }, (_, at) => `k/${at}`);
    await Promise.all(keys.map((key, at) => store.put(key, "", at % 2 === 0 ? { ttl: 200 } : {})));
    await sleep(250);
    expect(await store.list("k/")).toHaveLength(150);
    expect(await store.list("k/", { limit: 100 })).toHaveLength(100);
    expect(await store.list("k/", { limit: 160 })).toHaveLength(150);
  });

  test("a watch tells in time that one is over, also when nobody asks", async (stores) => {
    const { store } = await stores.open();
    await store.put("before", "", { ttl: 300 });
    const told: string[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const change of store.watch("", { signal: stop.signal })) {
        if (change.type === "delete") told.push(change.key);
      }
    })();
    for (const key of ["a", "b/c", "語".repeat(200)]) await store.put(key, "", { ttl: 200 });
    await until("all are told", () => told.length === 4);
    stop.abort();
    await watching;
  });

  test("what nobody watches is swept, and so are the notes that it was there", async (stores) => {
    const [{ store, link }] = [await stores.open({ sweep: 1000 }), await stores.open({ sweep: 1000 })];
    const { streams } = link.jetstream!.manager;
    const name = await streams.find(`catga.${stores.cluster}.kv.>`);
    for (let at = 0; at < 50; at++) await store.put(`gone/${at}`, "", { ttl: 50 });
    await store.put("stays", "");
    const own = 2;
    expect((await streams.info(name)).state.messages).toBe(51 + own);
    await until("it is swept", async () => (await streams.info(name)).state.messages === 1 + own);
    expect((await store.list("")).map(({ key }) => key)).toEqual(["stays"]);
  });
});

describe("watches", () => {
  test("watches of the same entries share a consumer, which goes when none is left", async (stores) => {
    const { store, link } = await stores.open();
    const { streams } = link.jetstream!.manager;
    const name = await streams.find(`catga.${stores.cluster}.kv.>`);
    const consumers = async (): Promise<number> => (await streams.info(name)).state.consumer_count;
    const watches = Array.from({ length: 50 }, (_, at) => store.watch(`locks/${at}`)[Symbol.asyncIterator]());
    for (const watch of watches) expect((await watch.next()).value).toEqual({ type: "ready" });
    await until("there is one", async () => await consumers() === 1);
    await store.put("locks/7", "mine");
    expect((await watches[7]!.next()).value).toMatchObject({ type: "put", entry: { value: "mine" } });
    for (const watch of watches) await watch.return?.();
    await until("there is none", async () => await consumers() === 0);
  });
});

describe("limits", () => {
  test("a full store refuses new keys, takes old ones, and makes room of what is over", async (stores) => {
    const { store } = await stores.open({ keys: 20 });
    for (let at = 0; at < 10; at++) await store.put(`${at}`, "");
    for (let at = 10; at < 20; at++) await store.put(`${at}`, "", { ttl: 2000 });
    expect(await failureOf(store.put("one more", ""))).toBe("OVERLOADED");
    await store.put("3", "over it");
    await store.delete("4");
    await sleep(2100);
    await store.put("one more", "", { expected: "absent" });
    expect((await store.list("")).map(({ key }) => key)).toEqual([
      "0",
      "1",
      "2",
      "3",
      "5",
      "6",
      "7",
      "8",
      "9",
      "one more",
    ]);
  });

  test("a store whose bytes are used up refuses what is more", async (stores) => {
    const { store } = await stores.open({ bytes: 100_000 });
    const big = "v".repeat(30_000);
    for (const key of ["a", "b"]) await store.put(key, big);
    const failures = await Promise.all(["c", "d"].map((key) => failureOf(store.put(key, big))));
    expect(failures).toContain("OVERLOADED");
    await store.put("a", "small");
  });

  test("no more watch than may", async (stores) => {
    const { store } = await stores.open({ watches: 1 });
    const first = store.watch("")[Symbol.asyncIterator]();
    await first.next();
    expect(await failureOf(store.watch("")[Symbol.asyncIterator]().next())).toBe("OVERLOADED");
    await first.return?.();
    const second = store.watch("")[Symbol.asyncIterator]();
    expect((await second.next()).value).toEqual({ type: "ready" });
    await second.return?.();
  });

  test("what makes no sense is refused when it is made", async (stores) => {
    const { link } = await stores.open();
    for (const options of [{ keys: 0 }, { bytes: NaN }, { watches: -1 }, { sweep: 0 }]) {
      const thrown = await natsStore(link, options).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(RangeError);
    }
  });
});

describe("what others write", () => {
  test("messages that no store wrote are nothing, and may be written over", async (stores) => {
    const [{ store, link }, { store: other }] = [await stores.open(), await stores.open()];
    const root = `catga.${stores.cluster}.kv`;
    const bad = (text: string) => {
      const all = headers();
      all.set("Catga-Entry", text);
      return all;
    };
    const publish = (subject: string, payload: string | Uint8Array, text?: string): Promise<unknown> =>
      link.ask(`${root}.${subject}`, payload, text === undefined ? {} : { headers: bad(text) });
    await publish("a", "no header");
    await publish("b", "v", "put");
    await publish("c", "v", "put id nan");
    await publish("d", "v", "put id -5");
    await publish("e", "v", "steal id -");
    await publish("f", "v", "put id - %zz");
    await publish("_zz", "v", "put id -");
    await publish("_hAAAA", "v", "put id - a");
    await publish("g", new Uint8Array([0xff, 0xfe]), "put id -");
    await publish("h", "v", "put id - elsewhere");
    await publish("ok", "v", "put id -");
    const changes: Change[] = [];
    for await (const change of other.watch("")) {
      changes.push(change);
      if (change.type === "ready") break;
    }
    expect(changes.map((change) => change.type === "put" ? change.entry.key : change.type)).toEqual([
      "ok",
      "ready",
    ]);
    expect((await other.list("")).map(({ key }) => key)).toEqual(["ok"]);
    for (const key of ["a", "b", "c", "d", "e", "f", "g", "h"]) {
      expect(await other.get(key)).toBeUndefined();
      await store.put(key, "mine", { expected: "absent" });
      expect((await other.get(key))?.value).toBe("mine");
    }
  });

  test("a stream of others that takes the store's subjects is not touched", async () => {
    await using link = await openLink(server.ws, { cluster: "taken" });
    await link.jetstream!.manager.streams.add({ name: "OTHERS", subjects: ["catga.taken.kv.>"] });
    expect(await failureOf(natsStore(link))).toBe("CONFLICT");
  });

  test("a server that makes the store's stream for somebody else just now has no stream of others", async () => {
    await using link = await openLink(server.ws, { cluster: "hurry" });
    let refusals = 3;
    const answer = { error: { code: 400, err_code: 10065, description: "subjects overlap" } };
    const busy: Link = Object.create(link, {
      ask: {
        value: (subject: string, payload: string, options?: AskOptions) =>
          subject.includes("STREAM.CREATE") && refusals-- > 0
            ? Promise.resolve({ json: () => answer })
            : link.ask(subject, payload, options),
      },
    });
    await using store = await natsStore(busy);
    expect(await store.put("a", "1")).toBe((await store.get("a"))!.revision);
    expect(refusals).toBeLessThan(0);
  });

  test("a store that could not be opened leaves nothing behind on its connection", async () => {
    await using link = await openLink(server.ws, { cluster: "leaves" });
    await link.jetstream!.manager.streams.add({ name: "LEAVES", subjects: ["catga.leaves.kv.>"] });
    let hear = 0;
    const counted: Link = Object.create(link, {
      onReconnect: {
        value: (run: () => void) => {
          hear++;
          const stop = link.onReconnect(run);
          return () => {
            hear--;
            stop();
          };
        },
      },
    });
    expect(await failureOf(natsStore(counted))).toBe("CONFLICT");
    expect(hear).toBe(0);
  });

  test("a server that keeps nothing is refused", async () => {
    await using bare = await startNats({ jetstream: false });
    await using link = await openLink(bare.ws);
    expect(await failureOf(natsStore(link))).toBe("UNAVAILABLE");
  });
});

describe("many", () => {
  alone("pages of thousands hold each entry that stays once, while others come and go", async (stores) => {
    const [{ store }, { store: other }] = [await stores.open(), await stores.open()];
    const name = (at: number): string => `many/${String(at).padStart(5, "0")}`;
    const stay = Array.from({ length: 1500 }, (_, at) => name(2 * at));
    await Promise.all(stay.map((key) => store.put(key, key)));
    let writing = true;
    const churn = (async () => {
      for (let at = 0; writing; at = (at + 1) % 1500) {
        await store.put(name(2 * at), name(2 * at));
        await store.put(name(2 * at + 1), "", { ttl: 50 });
        if (at % 3 === 0) await store.delete(name(2 * at + 1));
      }
    })();
    for (let round = 0; round < 4; round++) {
      const found: string[] = [];
      for (let more = true; more;) {
        const page = await other.list("many/", { after: found.at(-1), limit: 400 });
        found.push(...page.map(({ key }) => key));
        more = page.length === 400;
      }
      expect(found).toEqual(found.toSorted());
      expect(found.filter((key) => Number(key.slice(5)) % 2 === 0)).toEqual(stay);
      expect((await other.list("many/", { limit: 5000 })).filter(({ value }) => value !== "")).toHaveLength(
        1500,
      );
    }
    writing = false;
    await churn;
  });

  alone("a list holds all that is there while all of it is overwritten", async (stores) => {
    const [{ store }, { store: other }] = [await stores.open(), await stores.open()];
    const keys = Array.from({ length: 30 }, (_, at) => `over/${at}`).toSorted();
    await Promise.all(keys.map((key) => store.put(key, "")));
    let writing = true;
    const churn = [0, 1, 2, 3].map(async (lane) => {
      for (let at = lane; writing; at = (at + 4) % keys.length) await store.put(keys[at]!, "again");
    });
    for (let lists = 0; lists < 1000; lists++) {
      expect((await other.list("over/")).map(({ key }) => key)).toEqual(keys);
    }
    writing = false;
    await Promise.all(churn);
  });

  alone("a watch tells of thousands of changes at once, on another connection too", async (stores) => {
    const [one, two] = [await stores.open(), await stores.open()];
    await Promise.all(Array.from({ length: 700 }, (_, at) => one.store.put(`${at}`, "old")));
    const toldUntil = async (watch: AsyncIterable<Change>): Promise<Map<string, string>> => {
      const told = new Map<string, string>();
      for await (const change of watch) {
        if (change.type === "put") told.set(change.entry.key, change.entry.value);
        if (change.type === "delete") told.delete(change.key);
        if (told.has("end")) break;
      }
      return told;
    };
    const watching = [one, two].map(({ store }) => toldUntil(store.watch("")));
    await Promise.all(Array.from({ length: 700 }, async (_, at) => {
      if (at % 3 === 0) await two.store.delete(`${at}`);
      if (at % 3 === 1) await two.store.put(`${at}`, "new");
      if (at % 2 === 0) await one.store.put(`more ${at}`, "1").then(() => one.store.delete(`more ${at}`));
    }));
    await one.store.put("end", "");
    const entries = (await two.store.list("", { limit: 10_000 })).map(({ key, value }) => [key, value]);
    for (const told of await Promise.all(watching)) {
      expect([...told].toSorted(([a], [b]) => a! < b! ? -1 : 1)).toEqual(entries as [string, string][]);
    }
  });

  alone(
    "what was written before a watch begins is told before it is ready, also where others watch already",
    async (stores) => {
      const [{ store }, { store: other }] = [await stores.open(), await stores.open()];
      const first = store.watch("w/")[Symbol.asyncIterator]();
      await first.next();
      for (let round = 0; round < 100; round++) {
        await other.put(`w/${round}`, "");
        if (round > 0) await other.delete(`w/${round - 1}`);
        const keys: string[] = [];
        for await (const change of store.watch("w/")) {
          if (change.type !== "put") break;
          keys.push(change.entry.key);
        }
        expect(keys).toEqual([`w/${round}`]);
      }
      await first.return?.();
    },
  );

  alone(
    "a watch of more than is remembered tells all of it, to those who begin later too",
    async (stores) => {
      const [{ store }, { store: other }] = [await stores.open(), await stores.open()];
      const big = "v".repeat(200_000);
      await Promise.all(Array.from({ length: 100 }, (_, at) => store.put(`big/${at}`, big)));
      await Promise.all(Array.from({ length: 5000 }, (_, at) => store.put(`many/${at}`, "")));
      for (const [prefix, count] of [["big/", 100], ["many/", 5000]] as const) {
        const first = other.watch(prefix)[Symbol.asyncIterator]();
        await first.next();
        const keys = new Set<string>();
        for await (const change of other.watch(prefix)) {
          if (change.type !== "put") break;
          keys.add(change.entry.key);
        }
        expect(keys.size).toBe(count);
        await first.return?.();
      }
    },
  );

  alone("those who begin at the same time share one stream, and lose nothing of it", async () => {
    await using link = await openLink(server.ws);
    await Promise.all(Array.from({ length: 10 }, async () => {
      await using fresh = storesOn(server);
      const all = await Promise.all(Array.from({ length: 8 }, async (_, at) => {
        const node = await fresh.open();
        const revision = await node.store.put(`${at}`, `${at}`);
        return { ...node, revision };
      }));
      const revisions = all.map(({ revision }) => revision).toSorted((a, b) => a - b);
      for (const { store } of all) {
        const entries = await store.list("");
        expect(entries.map((entry) => entry.revision).toSorted((a, b) => a - b)).toEqual(revisions);
      }
      const names: string[] = [];
      const { streams } = link.jetstream!.manager;
      for await (const name of streams.names(`catga.${fresh.cluster}.kv.>`)) names.push(name);
      expect(names).toEqual([`CATGA_${fresh.cluster}_kv`]);
    }));
  });
});
