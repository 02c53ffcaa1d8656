/** The store on NATS when its server goes away, stands still, comes back, or has lost what it kept. */

import { describe, expect } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CatgaError, systemFault } from "@catga/catga";
import type { Change } from "@catga/catga/ports";
import type { AskOptions, Link } from "../../adapters/nats/link.ts";
import { natsStore } from "../../adapters/nats/store.ts";
import { beside, roomOf } from "../support/beside.ts";
import { startNats } from "./server.ts";
import { openLink } from "./support.ts";
import { eventually, failureOf, type Stores, storesOn, until } from "./store_support.ts";

const test = beside(6, async () => {
  const server = await startNats();
  return roomOf({ server, stores: storesOn(server) });
});

const MAY_BE = ["TRANSPORT", "UNAVAILABLE"];

describe("a server that was killed", () => {
  test("what was acknowledged is there when it is back, and everything goes on", async ({ server, stores }) => {
    const [{ store, logs }, { store: other }] = [await stores.open(), await stores.open()];
    const kept = new Map<string, number>();
    let writing = true;
    const writers = [store, other].map(async (each, lane) => {
      for (let at = 0; writing; at++) {
        await each.put(`${lane}/${at}`, `${at}`)
          .then((revision) => kept.set(`${lane}/${at}`, revision), () => sleep(20));
      }
    });
    for (let round = 0; round < 3; round++) {
      await until("something is kept", () => kept.size > 50 * (round + 1));
      await server.restart();
    }
    await until("more is kept", () => kept.size > 250);
    writing = false;
    await Promise.all(writers);
    for (const [key, revision] of kept) expect((await other.get(key))?.revision).toBe(revision);
    expect(logs.filter(({ event }) => event === "nats.store_lost")).toEqual([]);
  });

  test("while it is away every operation fails soon, and a watch breaks off", async ({ server, stores }) => {
    const { store } = await stores.open();
    const watch = store.watch("")[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual({ type: "ready" });
    const broken = failureOf(watch.next());
    await server.kill();
    const failures = await Promise.all([
      store.put("a", ""),
      store.get("a"),
      store.delete("a"),
      store.list(""),
      store.watch("")[Symbol.asyncIterator]().next(),
    ].map(failureOf));
    for (const failure of failures) expect(MAY_BE).toContain(failure!);
    expect(await broken).toBe("TRANSPORT");
    await server.restart();
    const again = await eventually("a watch begins", async () => {
      const changes = store.watch("")[Symbol.asyncIterator]();
      await changes.next();
      return changes;
    });
    await store.put("a", "1");
    expect((await again.next()).value).toMatchObject({ type: "put", entry: { key: "a" } });
    await again.return?.();
  });

  test("a restart that is too short for a heartbeat to fail breaks a watch off all the same", async ({ server, stores }) => {
    const { store } = await stores.open();
    const watch = store.watch("")[Symbol.asyncIterator]();
    await watch.next();
    const broken = watch.next().then(() => undefined, (error: CatgaError) => error);
    await server.restart();
    const error = await broken;
    expect(error?.code).toBe("TRANSPORT");
    expect(error?.message).toContain("the connection was lost");
  });
});

describe("a server that stands still", () => {
  test("operations fail in seconds, a watch notices it, and both go on afterwards", async ({ server, stores }) => {
    const { store } = await stores.open();
    await store.put("a", "1");
    const watch = store.watch("")[Symbol.asyncIterator]();
    for (let told = 0; told < 2; told++) await watch.next();
    const broken = failureOf(watch.next());
    server.pause();
    await sleep(50);
    const failures = await Promise.all([store.put("b", ""), store.get("a"), store.list("")].map(failureOf));
    for (const failure of failures) expect(MAY_BE).toContain(failure!);
    expect(await broken).toBe("TRANSPORT");
    server.resume();
    const entry = await eventually("it is read", () => store.get("a"));
    expect(entry?.value).toBe("1");
    await eventually("it is written", () => store.put("a", "2", { expected: entry!.revision }));
  });

  test("times to live go on while it stands still", async ({ server, stores }) => {
    const { store } = await stores.open();
    await store.put("a", "", { ttl: 1500 });
    await store.put("b", "", { ttl: 60_000 });
    server.pause();
    await sleep(50);
    await sleep(1600);
    server.resume();
    expect(await eventually("it is read", () => store.get("a"))).toBeUndefined();
    expect(await eventually("it is read", () => store.get("b"))).toBeDefined();
  });
});

describe("a server that has lost its files", () => {
  test(
    "the store is there again, empty; revisions go on growing, and no old one fits a new entry",
    async ({ server, stores }) => {
      const [{ store, logs }, { store: other }] = [await stores.open(), await stores.open()];
      const before: number[] = [];
      for (let at = 0; at < 20; at++) before.push(await store.put("a", `${at}`));
      for (let at = 0; at < 5; at++) await store.put(`other ${at}`, "");
      await server.restart({ loseFiles: true });
      expect(await eventually("it is read", () => other.get("a"))).toBeUndefined();
      let after = 0;
      // The new stream comes to the sequences of the old one.
      for (let at = 0; at < 30; at++) {
        after = await eventually("it is written", () => other.put("a", `new ${at}`));
        expect(after).toBeGreaterThan(before.at(-1)!);
        for (const revision of before.slice(-5)) {
          expect(await failureOf(store.put("a", "old", { expected: revision }))).toBe("CONFLICT");
          expect(await failureOf(store.delete("a", { expected: revision }))).toBe("CONFLICT");
        }
      }
      expect(await store.get("a")).toEqual({ key: "a", value: "new 29", revision: after });
      expect(logs.filter(({ event }) => event === "nats.store_lost")).toHaveLength(1);
      expect(logs.filter(({ level }) => level === "error")).toHaveLength(1);
    },
  );

  test("what is written into a stream that is not ready yet is written again when it is", async ({ stores }) => {
    const { store, link } = await stores.open();
    const old = await store.put("a", "1");
    const { streams } = link.jetstream!.manager;
    const name = await streams.find(`catga.${stores.cluster}.kv.>`);
    const { config } = await streams.info(name);
    await streams.delete(name);
    // Another node has made it, and goes on in a moment.
    await streams.add(config);
    const revision = await store.put("a", "2");
    expect(revision).toBeGreaterThan(old);
    const { store: other } = await stores.open();
    expect(await other.get("a")).toEqual({ key: "a", value: "2", revision });
  });

  test("what is written first stays, also when another one purges at the same time", async ({ server }) => {
    await using link = await openLink(server.ws, { cluster: "purged" });
    const purge = (seq: number): Promise<unknown> =>
      link.ask("$JS.API.STREAM.PURGE.CATGA_purged_kv", JSON.stringify({ seq }));
    let late: Promise<unknown> | undefined;
    const slow: Link = Object.create(link, {
      ask: {
        value: async (subject: string, payload: string, options?: AskOptions) => {
          const answer = await link.ask(subject, payload, options);
          if (!subject.includes("PURGE")) return answer;
          // As a server does that saw an empty stream, and waited.
          const { seq } = JSON.parse(payload);
          late ??= sleep(50).then(() => purge(seq + 1000));
          return answer;
        },
      },
    });
    await using store = await natsStore(slow);
    const revision = await store.put("a", "1");
    await late;
    expect(await store.get("a")).toMatchObject({ value: "1", revision });
  });

  test("a stream that was deleted under a running server is made again", async ({ stores }) => {
    const [{ store, link }, { store: other }] = [await stores.open(), await stores.open()];
    const old = await store.put("a", "1");
    const watch = other.watch("")[Symbol.asyncIterator]();
    for (let told = 0; told < 2; told++) await watch.next();
    const broken = failureOf(watch.next());
    const { streams } = link.jetstream!.manager;
    await streams.delete(await streams.find(`catga.${stores.cluster}.kv.>`));
    expect(await failureOf(other.put("a", "2", { expected: old }))).toBe("CONFLICT");
    expect(await store.put("a", "3", { expected: "absent" })).toBeGreaterThan(old);
    expect(await broken).toBe("TRANSPORT");
    expect((await other.list("")).map(({ value }) => value)).toEqual(["3"]);
  });
});

describe("an answer that is lost", () => {
  type Lose = "before" | "after" | undefined;

  /** A link that loses the answers of writes, before they are done or after. */
  async function losing(stores: Stores): Promise<{ readonly link: Link; lose: Lose }> {
    const { link } = await stores.open();
    const state: { lose: Lose } = { lose: undefined };
    const ask: Link["ask"] = async (subject, payload, options) => {
      const { lose } = state;
      if (lose === undefined || !subject.startsWith("catga.")) {
        return await link.ask(subject, payload, options);
      }
      state.lose = undefined;
      if (lose === "after") await link.ask(subject, payload, options);
      throw new CatgaError(systemFault("TRANSPORT", "The answer was lost"));
    };
    return Object.assign(state, { link: Object.create(link, { ask: { value: ask } }) as Link });
  }

  test("is settled by reading back: a write that was done is answered as one", async ({ stores }) => {
    const way = await losing(stores);
    const store = await natsStore(way.link);
    for (const [at, options] of [{}, { expected: "absent" as const }, { ttl: 60_000 }].entries()) {
      const key = `${at}`;
      way.lose = "after";
      const revision = await store.put(key, "1", options);
      expect(await store.get(key)).toEqual({ key, value: "1", revision });
      way.lose = "after";
      const next = await store.put(key, "2", { expected: revision });
      expect(await store.get(key)).toEqual({ key, value: "2", revision: next });
      way.lose = "after";
      await store.delete(key);
      expect(await store.get(key)).toBeUndefined();
    }
    await store[Symbol.asyncDispose]();
  });

  test("is a failure that says so where that does not tell", async ({ stores }) => {
    const way = await losing(stores);
    const store = await natsStore(way.link);
    const revision = await store.put("a", "1");
    way.lose = "before";
    expect(await failureOf(store.put("a", "2", { expected: revision }))).toBe("TRANSPORT");
    way.lose = "before";
    expect(await failureOf(store.put("b", "2"))).toBe("TRANSPORT");
    way.lose = "before";
    expect(await failureOf(store.delete("a"))).toBe("TRANSPORT");
    expect(await store.get("a")).toEqual({ key: "a", value: "1", revision });
    await store[Symbol.asyncDispose]();
  });
});

describe("whoever no longer waits", () => {
  test("is let go at once, also from a server that stands still", async ({ server, stores }) => {
    const { store } = await stores.open();
    await store.put("a", "1");
    server.pause();
    await sleep(50);
    const controller = new AbortController();
    const { signal } = controller;
    const changes: Change[] = [];
    const works = [
      failureOf(store.put("a", "2", { signal })),
      failureOf(store.get("a", { signal })),
      failureOf(store.delete("a", { signal })),
      failureOf(store.list("", { signal })),
      (async () => {
        for await (const change of store.watch("", { signal })) changes.push(change);
      })(),
    ];
    await sleep(50);
    controller.abort();
    expect(await Promise.all(works)).toEqual(["CANCELLED", "CANCELLED", "CANCELLED", "CANCELLED", undefined]);
    server.resume();
  });
});
