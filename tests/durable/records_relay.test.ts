/** The relay: what records have to tell comes into the queue, in order, and nothing is left behind. */

import { describe, expect, test } from "bun:test";
import { CatgaError, systemFault } from "@catga/catga";
import { type Records, records, type Relay, startRelay } from "@catga/catga/durable";
import type { Queue, Store } from "@catga/catga/ports";
import { changed, type Desk, desk, Keyed, Noted, now, pass, takeAll } from "./records_support.ts";

const away = (): CatgaError => new CatgaError(systemFault("UNAVAILABLE", "the queue is away"));

function relayOf(place: Desk, owner = "a", change: { store?: Store; queue?: Queue } = {}): Relay {
  const { store, queue, runtime } = place;
  return startRelay({ store, queue, runtime, owner, ...change });
}

function say<T>(list: Records<T>, id: string, ...texts: string[]): Promise<T | undefined> {
  return list.update(id, (_, tx) => {
    for (const text of texts) tx.publish(Noted({ text }));
    return texts.at(-1) as T;
  });
}

const textsOf = (parcels: readonly { readonly body: unknown }[]): string[] =>
  parcels.map(({ body }) => (body as { text: string }).text);

/** What is left of the outbox: entries but for leases, with what they still have to tell. */
async function left({ store }: Desk): Promise<string[]> {
  const marks = await store.list("outbox/");
  const pending = (await store.list("records/")).filter(({ value }) => !value.startsWith("[1,[],"));
  return [...marks, ...pending].map(({ key }) => key);
}

describe("a relay", () => {
  test("tells what records say, in their order, and leaves nothing behind", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    const relay = relayOf(place);
    const notes = records<string>("notes", { ...place, relay });
    await pass(place.time, 100);
    await now(say(notes, "one", "a", "b"));
    await now(say(notes, "one", "c"));
    await now(say(notes, "two", "x"));
    await pass(place.time, 100);
    const parcels = await takeAll(place, "noted", "all");
    expect(textsOf(parcels).filter((text) => text !== "x")).toEqual(["a", "b", "c"]);
    expect(textsOf(parcels)).toHaveLength(4);
    expect(new Set(parcels.map(({ id }) => id)).size).toBe(4);
    await pass(place.time, 5000);
    expect(await left(place)).toEqual([]);
    expect(relay.backlog()).toEqual({ active: true, records: 0, failing: 0, age: 0, told: 4 });
    await now(relay.stop());
    expect(await place.store.list("leases/")).toEqual([]);
    expect(place.time.pending()).toBe(0);
  });

  test("tells at once: a wake-up in the process waits for neither watch nor poll", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    const deaf = changed<Store>(place.store, { watch: never });
    const relay = relayOf(place, "a", { store: deaf });
    await pass(place.time, 100);
    await now(say(records<string>("notes", { ...place, relay }), "one", "a"));
    await pass(place.time, 0);
    expect(textsOf(await takeAll(place, "noted", "all"))).toEqual(["a"]);
    await now(relay.stop());
  });

  test("tells what other processes say by its watch, and by its poll when the watch says nothing", async () => {
    for (const [deaf, ms] of [[false, 20], [true, 2100]] as const) {
      const place = desk();
      await place.queue.subscribe("noted", "all");
      const store = deaf ? changed<Store>(place.store, { watch: never }) : place.store;
      const relay = relayOf(place, "a", { store });
      await pass(place.time, 100);
      await now(say(records<string>("notes", place), "one", "a"));
      await pass(place.time, ms);
      expect(textsOf(await takeAll(place, "noted", "all"))).toEqual(["a"]);
      await now(relay.stop());
    }
  });

  test("tells what was said before it was started", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    await now(say(records<string>("notes", place), "one", "a"));
    const relay = relayOf(place);
    await pass(place.time, 100);
    expect(textsOf(await takeAll(place, "noted", "all"))).toEqual(["a"]);
    await now(relay.stop());
  });

  test("is one of any number, and another goes on when it is gone (F29: without a claim all publish)", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    let pushed = 0;
    const counted = changed<Queue>(place.queue, {
      push: (topic, items, options) => {
        pushed += items.length;
        return place.queue.push(topic, items, options);
      },
    });
    const relays = ["a", "b", "c"].map((owner) => relayOf(place, owner, { queue: counted }));
    const notes = records<string>("notes", place);
    await pass(place.time, 100);
    for (let n = 0; n < 10; n++) {
      const active = relays.filter((relay) => relay.backlog().active);
      expect(active).toHaveLength(1);
      await now(say(notes, `r${n}`, `${n}`));
      await pass(place.time, 100);
      if (n === 3 || n === 6) await now(active[0]!.stop());
      await pass(place.time, 3000);
    }
    expect(pushed).toBe(10);
    expect(textsOf(await takeAll(place, "noted", "all")).sort()).toEqual([..."0123456789"]);
    for (const relay of relays) await now(relay.stop());
  });

  test("keeps messages and their order while the queue is away, and asks it ever more rarely", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    let asked = 0;
    let isAway = true;
    const queue = changed<Queue>(place.queue, {
      push: (topic, items, options) => {
        asked++;
        return isAway ? Promise.reject(away()) : place.queue.push(topic, items, options);
      },
    });
    const relay = relayOf(place, "a", { queue });
    const notes = records<string>("notes", { ...place, relay });
    await pass(place.time, 100);
    for (let n = 0; n < 20; n++) {
      for (const text of ["a", "b", "c"]) await now(say(notes, `r${n}`, `${n}${text}`));
    }
    await pass(place.time, 600_000);
    expect(asked).toBeLessThan(1000);
    expect(place.time.entries.filter(({ event }) => event === "outbox.queue_unreachable")).toHaveLength(1);
    const { records: waiting, failing, age } = relay.backlog();
    expect([waiting, failing > 0, age >= 600_000]).toEqual([20, true, true]);
    isAway = false;
    await pass(place.time, 5000);
    const texts = textsOf(await takeAll(place, "noted", "all"));
    for (let n = 0; n < 20; n++) {
      const own = texts.filter((text) => text.slice(0, -1) === `${n}`);
      expect(own).toEqual([`${n}a`, `${n}b`, `${n}c`]);
    }
    expect(await left(place)).toEqual([]);
    await now(relay.stop());
  });

  test("is held up by nothing that it cannot read or tell (F29: what is bad clogs the head)", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    await place.queue.subscribe("keyed", "all");
    for (let n = 0; n < 1500; n++) await place.store.put(`outbox/aaa/${n}`, "");
    await place.store.put("outbox/aab/broken", "");
    await place.store.put("records/aab/broken", "no record");
    const queue = changed<Queue>(place.queue, {
      push: (topic, items, options) =>
        topic === "noted" && items.some(({ id }) => id.startsWith("aac"))
          ? Promise.reject(new CatgaError(systemFault("VALIDATION", "never")))
          : place.queue.push(topic, items, options),
    });
    await now(
      records("aac", place).update("bad", (_, tx) => {
        tx.publish(Noted({ text: "never" }));
        tx.publish(Keyed({ key: "k", n: 1 }));
        return 1;
      }),
    );
    const relay = relayOf(place, "a", { queue });
    await now(say(records<string>("zzz", { ...place, relay }), "good", "a"));
    await pass(place.time, 10_000);
    expect(textsOf(await takeAll(place, "noted", "all"))).toEqual(["a"]);
    expect(await takeAll(place, "keyed", "all")).toHaveLength(1);
    expect((await left(place)).sort()).toEqual([
      "outbox/aab/broken",
      "outbox/aac/bad",
      "records/aab/broken",
      "records/aac/bad",
    ]);
    const alarms = place.time.entries.filter(({ level }) => level === "error").map(({ fields }) =>
      fields?.["mark"]
    );
    expect(alarms.sort()).toEqual(["outbox/aab/broken", "outbox/aac/bad"]);
    await now(relay.stop());
  });

  test("finds by its poll what comes after a thousand that cannot be told", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    for (let n = 0; n < 1000; n++) {
      await place.store.put(`outbox/aaa/${n}`, "");
      await place.store.put(`records/aaa/${n}`, "no record");
    }
    const relay = relayOf(place, "a", { store: changed<Store>(place.store, { watch: never }) });
    await now(say(records<string>("zzz", place), "good", "a"));
    await pass(place.time, 3000);
    expect(textsOf(await takeAll(place, "noted", "all"))).toEqual(["a"]);
    await now(relay.stop());
  });

  test.each([
    ["the queue", "push"],
    ["the store", "get put delete list watch"],
  ])("G6: tells within 5 s once %s answers again that has not for minutes", async (_, deaf) => {
    for (let seed = 1; seed <= 40; seed++) {
      const place = desk(seed);
      await place.queue.subscribe("noted", "all");
      let isAway = false;
      const mute = <T extends object>(port: T): T =>
        new Proxy(port, {
          get: (target, name) => {
            const member: unknown = Reflect.get(target, name, target);
            if (typeof member !== "function") return member;
            if (name === "watch" && deaf.includes("watch")) return never;
            return (...args: unknown[]) =>
              isAway && deaf.split(" ").includes(String(name))
                ? new Promise(() => {})
                : Reflect.apply(member, target, args);
          },
        });
      const relay = relayOf(place, "a", { store: mute(place.store), queue: mute(place.queue) });
      await pass(place.time, 100);
      isAway = true;
      await now(say(records<string>("notes", place), "one", "a"));
      await pass(place.time, 100_000 + 137 * seed);
      isAway = false;
      await pass(place.time, 5000);
      expect([seed, textsOf(await takeAll(place, "noted", "all"))]).toEqual([seed, ["a"]]);
      await now(relay.stop());
    }
  });

  test("tells under the same id again when its answer was lost, and the queue drops the second", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    const ids: string[] = [];
    const queue = changed<Queue>(place.queue, {
      push: async (topic, items, options) => {
        await place.queue.push(topic, items, options);
        ids.push(...items.map(({ id }) => id));
        if (ids.length === 1) throw new CatgaError(systemFault("TRANSPORT", "no answer"));
      },
    });
    const relay = relayOf(place, "a", { queue });
    await now(say(records<string>("notes", { ...place, relay }), "one", "a"));
    await pass(place.time, 5000);
    expect([ids.length, new Set(ids).size]).toEqual([2, 1]);
    expect(textsOf(await takeAll(place, "noted", "all"))).toEqual(["a"]);
    await now(relay.stop());
  });

  test("gives two lives of a record different ids", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    const relay = relayOf(place);
    const notes = records<string>("notes", { ...place, relay });
    for (let life = 0; life < 3; life++) {
      await now(say(notes, "one", `${life}`));
      await now(notes.update("one", (_, tx) => {
        tx.publish(Noted({ text: `${life} is over` }));
        return undefined;
      }));
      await pass(place.time, 500_000);
      expect(await place.store.list("records/")).toEqual([]);
    }
    const texts = textsOf(await takeAll(place, "noted", "all"));
    expect(texts).toEqual(["0", "0 is over", "1", "1 is over", "2", "2 is over"]);
    await now(relay.stop());
  });

  test("says why a message was told: correlation, cause and headers, but not what names its cause", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    const relay = relayOf(place);
    const notes = records<string>("notes", { ...place, relay });
    const context = { id: "m1", correlationId: "c1", headers: { tenant: "t", "Idempotency-Key": "k" } };
    await now(notes.update("one", (_, tx) => {
      tx.publish(Noted({ text: "a" }), { headers: { own: "h" } });
      return "a";
    }, { context }));
    await now(say(notes, "two", "b"));
    await pass(place.time, 100);
    const [first, second] = await takeAll(place, "noted", "all");
    expect(first).toMatchObject({
      correlationId: "c1",
      causationId: "m1",
      headers: { tenant: "t", own: "h" },
    });
    expect(Object.keys(first!.headers!)).toEqual(["tenant", "own"]);
    expect([second!.correlationId, second!.causationId, second!.headers]).toEqual([
      second!.id,
      undefined,
      undefined,
    ]);
    await now(relay.stop());
  });

  test("tells what has a long name under a short id", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    const relay = relayOf(place);
    const id = "x".repeat(256);
    await now(say(records<string>("notes", { ...place, relay }), id, "a"));
    await pass(place.time, 100);
    const [parcel] = await takeAll(place, "noted", "all");
    expect(parcel!.id.length).toBeLessThanOrEqual(128);
    await now(relay.stop());
  });
});

describe("a mark without a message", () => {
  test("goes after a while, and what was under way behind it fails and is done again", async () => {
    const place = desk();
    await place.queue.subscribe("noted", "all");
    const { store, runtime } = place;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => release = resolve);
    let first = true;
    // Its write is on its way for long after the mark is there.
    const slow = changed<Store>(store, {
      put: async (key, value, options) => {
        if (key.startsWith("records/") && value.endsWith('"a"') && first) {
          first = false;
          await held;
        }
        return await store.put(key, value, options);
      },
    });
    await now(say(records<string>("notes", { store, runtime }), "one"));
    const relay = relayOf(place);
    const update = say(records<string>("notes", { store: slow, runtime, timeout: 60_000 }), "one", "a");
    await pass(place.time, 1500);
    expect(await left(place)).toEqual(["outbox/notes/one"]);
    await pass(place.time, 1000);
    expect(await left(place)).toEqual([]);
    release();
    await pass(place.time, 5000);
    expect(await now(update)).toBe("a");
    expect(textsOf(await takeAll(place, "noted", "all"))).toEqual(["a"]);
    await pass(place.time, 5000);
    expect(await left(place)).toEqual([]);
    await now(relay.stop());
  });
});

test("a record that is made and tells something has its place before its mark (found by simulation, seed 10)", async () => {
  const place = desk();
  await place.queue.subscribe("noted", "all");
  const { store, runtime, time } = place;
  let release = (): void => {};
  const held = new Promise<void>((resolve) => release = resolve);
  const slow = changed<Store>(store, {
    put: async (key, value, options) => {
      if (key.startsWith("records/") && options?.expected === "absent") await held;
      return await store.put(key, value, options);
    },
  });
  const relay = relayOf(place);
  await pass(time, 100);
  const update = say(records<string>("notes", { store: slow, runtime }), "one", "a");
  await pass(time, 1000);
  release();
  await pass(time, 10_000);
  expect(await now(update)).toBe("a");
  expect(textsOf(await takeAll(place, "noted", "all"))).toEqual(["a"]);
  expect(await left(place)).toEqual([]);
  await now(relay.stop());
});

// deno-lint-ignore require-yield
async function* never(
  _: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<never> {
  await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true }));
}
