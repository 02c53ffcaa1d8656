/** Event sourcing: commands decided on what happened, whatever the store and other nodes do meanwhile. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type } from "@catga/catga";
import { eventSourced, type EventSourcedOptions, versioned } from "@catga/catga/durable";
import { memoryEventStore, memoryStore } from "@catga/catga/memory";
import type { EventStore, Runtime, Store } from "@catga/catga/ports";
import { seededRandom } from "@catga/catga/testing";
import { type FakeRuntime, fakeRuntime } from "../../behaviors/fake_runtime.ts";
import { type Cart, cart, type CartCommand, cartEvents } from "./cart.ts";

interface Shop {
  readonly runtime: FakeRuntime & { readonly work: Promise<unknown>[] };
  readonly store: EventStore;
  readonly states: Store;
}

function shop(seed = 1): Shop {
  const random = seededRandom(seed);
  const work: Promise<unknown>[] = [];
  const fake = fakeRuntime(() => random.below(2 ** 32));
  const runtime = { ...fake, work, background: (each: Promise<unknown>) => void work.push(each) };
  return { runtime, store: memoryEventStore(runtime), states: memoryStore(runtime) };
}

function cartsOf(
  { runtime, store }: { runtime: Runtime; store: EventStore },
  // deno-lint-ignore no-explicit-any
  options: Partial<EventSourcedOptions<any, any, any, any>> = {},
) {
  return eventSourced("cart", { decider: cart, events: cartEvents, store, runtime, ...options } as {
    decider: typeof cart;
    events: typeof cartEvents;
    store: EventStore;
    runtime: Runtime;
  });
}

const add = (sku: string, quantity = 1, times = 1): CartCommand => ({ type: "add", sku, quantity, times });

/** Lets fake time run until a promise settles. */
async function settled<T>(runtime: FakeRuntime, work: Promise<T>): Promise<T> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  work.then(end, end);
  for (let turns = 0; !over && turns < 1000; turns++) await runtime.advance(100);
  return work;
}

describe("execute", () => {
  test("reads, decides, appends", async () => {
    const at = shop();
    const carts = cartsOf(at);
    const first = await carts.execute("1", add("tea", 2));
    expect(first).toEqual({
      ok: true,
      value: {
        state: { items: { tea: 2 }, closed: false },
        events: [{ type: "cart.added", data: { sku: "tea", quantity: 2 } }],
        version: 1,
        position: 1,
        repeated: false,
      },
    } as never);
    await carts.execute("2", add("nut"));
    const third = await carts.execute("1", { type: "remove", sku: "tea" });
    expect(third.ok && [third.value.version, third.value.position, third.value.state.items]).toEqual([
      2,
      3,
      {},
    ]);
    expect((await at.store.readAll()).map(({ stream }) => stream)).toEqual(["cart/1", "cart/2", "cart/1"]);
  });

  test("answers a failure of the decision as it is, and lets nothing happen", async () => {
    const at = shop();
    const carts = cartsOf(at);
    const refused = await carts.execute("1", { type: "remove", sku: "tea" });
    expect(!refused.ok && [refused.error.code, refused.error.data]).toEqual(["NOT_THERE", { sku: "tea" }]);
    const nothing = await carts.execute("1", { type: "look" });
    expect(nothing.ok && [nothing.value.events, nothing.value.version]).toEqual([[], 0]);
    expect(await at.store.head()).toBe(0);
  });

  test("F22: loads, saves, loads and saves again", async () => {
    const carts = cartsOf(shop());
    for (let version = 1; version <= 20; version++) {
      const executed = await carts.execute("1", add("tea"));
      expect(executed.ok && executed.value.version).toBe(version);
    }
    expect((await carts.load("1")).state.items).toEqual({ tea: 20 });
  });

  test("a hundred at once on one entity, from two processes: none is lost, the first neither", async () => {
    const at = shop();
    const both = [cartsOf(at), cartsOf({ ...at, runtime: shop(2).runtime })];
    const results = await settled(
      at.runtime,
      Promise.all(Array.from({ length: 100 }, (_, n) => both[0]!.execute("1", add(`${n}`)))),
    );
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(Object.keys((await both[1]!.load("1")).state.items)).toHaveLength(100);
    expect(at.runtime.asked.filter((ms) => ms < 5000)).toEqual([]);
  });

  test("decides again when somebody else was faster, and gives up when that happens each time", async () => {
    const at = shop();
    const other = cartsOf(at);
    let left = 3;
    const store: EventStore = {
      ...plain(at.store),
      append: async (stream, events, options) => {
        if (left-- > 0) await other.execute("1", add("nut"));
        return at.store.append(stream, events, options);
      },
    };
    const carts = cartsOf({ ...at, store });
    const executed = await settled(at.runtime, carts.execute("1", add("tea")));
    expect(executed.ok && executed.value.state.items).toEqual({ nut: 3, tea: 1 });
    left = Infinity;
    const beaten = await settled(
      at.runtime,
      cartsOf({ ...at, store }, { tries: 4 }).execute("1", add("tea")),
    );
    expect(!beaten.ok && [beaten.error.code, beaten.error.retryable]).toEqual(["CONFLICT", true]);
    expect((await carts.load("1")).state.items).toEqual({ nut: 7, tea: 1 });
  });

  test("settles an append whose answer was lost by asking again", async () => {
    for (const loses of ["request", "answer"] as const) {
      const at = shop();
      let lost = 2;
      const store: EventStore = {
        ...plain(at.store),
        append: async (stream, events, options) => {
          if (loses === "answer" || lost <= 0) await at.store.append(stream, events, options);
          if (lost-- > 0) throw Object.assign(await faultLike("TRANSPORT"), {});
          return at.store.append(stream, events, options);
        },
      };
      const executed = await settled(at.runtime, cartsOf({ ...at, store }).execute("1", add("tea", 1, 2)));
      expect(executed.ok && [executed.value.version, executed.value.state.items]).toEqual([2, { tea: 2 }]);
      expect(await at.store.head()).toBe(2);
    }
  });

  test("says that it may have happened when no answer comes, and that it has not when it could not read", async () => {
    const at = shop();
    const lost = async (): Promise<never> => Promise.reject(await faultLike("TRANSPORT"));
    const deaf = cartsOf({ ...at, store: { ...plain(at.store), append: lost } });
    const unknown = await settled(at.runtime, deaf.execute("1", add("tea")));
    expect(!unknown.ok && unknown.error.code).toBe("TRANSPORT");
    const blind = cartsOf({ ...at, store: { ...plain(at.store), read: lost } });
    const unread = await settled(at.runtime, blind.execute("1", add("tea")));
    expect(!unread.ok && unread.error.code).toBe("UNAVAILABLE");
  });

  test("after an unknown outcome a refusal is no proof that nothing happened", async () => {
    const at = shop();
    for (const then of ["UNAVAILABLE", "INTERNAL"] as const) {
      let tries = 0;
      const append = async (): Promise<never> =>
        Promise.reject(await faultLike(tries++ === 0 ? "TRANSPORT" : then));
      const carts = cartsOf({ ...at, store: { ...plain(at.store), append } });
      const executed = await settled(at.runtime, carts.execute("1", add("tea")));
      expect(!executed.ok && executed.error.code).toBe("TRANSPORT");
    }
  });

  test("waits no longer than it should: neither for a store that hangs nor once it was given up", async () => {
    const at = shop();
    const hangs = cartsOf({ ...at, store: { ...plain(at.store), read: () => new Promise(() => {}) } });
    const hung = await settled(at.runtime, hangs.execute("1", add("tea")));
    expect(!hung.ok && hung.error.code).toBe("UNAVAILABLE");
    const controller = new AbortController();
    const first = hangs.execute("1", add("tea"), { signal: controller.signal });
    const second = hangs.execute("1", add("tea"), { signal: controller.signal });
    await at.runtime.advance(1);
    controller.abort();
    for (const each of [first, second]) {
      const result = await settled(at.runtime, each);
      expect(!result.ok && result.error.code).toBe("CANCELLED");
    }
    expect(at.runtime.pending()).toBe(0);
  });

  test("what the decider throws is a failure, and what does not fit a schema is never appended", async () => {
    const at = shop();
    const thrown = await cartsOf(at).execute("1", null as never);
    expect(!thrown.ok && thrown.error.code).toBe("INTERNAL");
    const former = { type: "CartAdded", data: { sku: "tea", quantity: 1 } };
    for (const bad of [{ type: "cart.added", data: {} }, { type: "cart.lost", data: {} }, former]) {
      const unfit = await cartsOf(at, { decider: { ...cart, decide: () => [bad] } }).execute("1", add("tea"));
      expect(!unfit.ok && unfit.error.code).toBe("VALIDATION");
    }
    const nobody = await cartsOf(at).execute("", add("tea"));
    expect(!nobody.ok && nobody.error.code).toBe("VALIDATION");
    expect(await at.store.head()).toBe(0);
  });

  test("F23: names of events are those that were given, with a version only where there is more than one", async () => {
    const at = shop();
    await cartsOf(at).execute("1", add("tea"), { meta: { by: "ann" } });
    await cartsOf(at).execute("1", { type: "close" });
    const [first, second] = await at.store.readAll();
    expect([first!.type, first!.meta, second!.meta]).toEqual([
      "cart.added",
      '{"v":3,"meta":{"by":"ann"}}',
      undefined,
    ]);
  });
});

describe("a message that comes again", () => {
  const message = { id: "m1", correlationId: "c1" };

  test("lets its command happen once, and is answered as the first time", async () => {
    const at = shop();
    const carts = cartsOf(at);
    const first = await carts.execute("1", add("tea", 1, 2), { context: message });
    await carts.execute("1", { type: "close" });
    const again = await carts.execute("1", add("tea", 1, 2), { context: message });
    expect(again).toEqual(
      { ...first, value: { ...(first as { value: object }).value, repeated: true } } as never,
    );
    expect(await at.store.head()).toBe(3);
    const [event] = await Array.fromAsync(carts.history("1"));
    expect([event!.cause, event!.correlation, event!.entity]).toEqual(["m1", "c1", "1"]);
  });

  test("also where the events are older than the state that is kept", async () => {
    const at = shop();
    const carts = cartsOf(at, { snapshots: { store: at.states, every: 2 } });
    await carts.execute("1", add("tea"), { context: message });
    for (let n = 0; n < 10; n++) await carts.execute("1", add("nut"));
    await Promise.all(at.runtime.work);
    const again = await carts.execute("1", add("tea"), { context: message });
    expect(again.ok && [again.value.repeated, again.value.version, again.value.state.items]).toEqual(
      [true, 1, { tea: 1 }],
    );
    expect(await at.store.head()).toBe(11);
  });

  test("at the same time on two nodes lets it happen once", async () => {
    const at = shop();
    const both = [cartsOf(at), cartsOf({ ...at, runtime: shop(2).runtime })];
    const results = await settled(
      at.runtime,
      Promise.all(
        Array.from({ length: 10 }, (_, n) => both[n % 2]!.execute("1", add("tea"), { context: message })),
      ),
    );
    expect(results.every((result) => result.ok && result.value.version === 1)).toBe(true);
    expect(await at.store.head()).toBe(1);
  });

  test("each step, each handler of an event and each entity has its own", async () => {
    const at = shop();
    const carts = cartsOf(at);
    const delivery = (group: string) => ({ group, attempt: 1 });
    const different = [
      { context: message },
      { context: message, step: "2" },
      { context: { ...message, delivery: delivery("a") } },
      { context: { ...message, delivery: delivery("b") } },
      { context: { ...message, delivery: delivery("b") }, step: "2" },
      { context: { id: "m1@b#2" } },
      { context: { id: "m1@a" } },
      { context: { id: "m".repeat(500) } },
      { context: { id: `${"m".repeat(499)}n` } },
    ];
    for (const options of [...different, ...different]) await carts.execute("1", add("tea"), options);
    await carts.execute("2", add("tea"), { context: message });
    expect((await carts.load("1")).state.items).toEqual({ tea: different.length });
    expect((await carts.load("2")).state.items).toEqual({ tea: 1 });
  });

  test("with another command is a conflict, and no silence", async () => {
    const carts = cartsOf(shop());
    await carts.execute("1", add("tea"), { context: message });
    const other = await carts.execute("1", add("nut"), { context: message });
    expect(!other.ok && [other.error.code, other.error.message.includes("step")]).toEqual(["CONFLICT", true]);
    expect((await carts.load("1")).state.items).toEqual({ tea: 1 });
  });

  test("is known again where the page that is read ends before its events", async () => {
    const at = shop();
    await cartsOf(at).execute("1", add("nut", 1, 2));
    const first = await cartsOf(at).execute("1", add("tea", 1, 2), { context: message });
    await cartsOf(at).execute("1", add("nut"));
    for (const limit of [1, 2, 3]) {
      const read: EventStore["read"] = async (...args) => (await at.store.read(...args)).slice(0, limit);
      const carts = cartsOf({ ...at, store: { ...plain(at.store), read } });
      const again = await carts.execute("1", add("tea", 1, 2), { context: message });
      expect(again).toEqual(
        { ...first, value: { ...(first as { value: object }).value, repeated: true } } as never,
      );
      const other = await carts.execute("1", add("tea"), { context: message });
      expect(!other.ok && [other.error.code, other.error.retryable]).toEqual(["CONFLICT", false]);
    }
    expect(await at.store.head()).toBe(5);
  });

  test("is answered with what has happened when another node was faster with it by a moment", async () => {
    const other = add("tea", 7, 2);
    const cases = [[0, other, "repeated"], [1, other, "repeated"], [0, add("tea", 7), "CONFLICT"]] as const;
    for (const [before, command, answer] of cases) {
      const at = shop();
      await cartsOf(at).execute("1", add("nut"));
      let isFirst = true;
      const append: EventStore["append"] = async (...args) => {
        if (isFirst) {
          isFirst = false;
          for (let n = 0; n < before; n++) await cartsOf(at).execute("1", add("nut"));
          await cartsOf(at).execute("1", other, { context: message });
        }
        return at.store.append(...args);
      };
      const carts = cartsOf({ ...at, store: { ...plain(at.store), append } });
      const executed = await settled(at.runtime, carts.execute("1", command, { context: message }));
      if (answer === "CONFLICT") expect(!executed.ok && executed.error.code).toBe("CONFLICT");
      else {expect(executed.ok && [executed.value.repeated, executed.value.version]).toEqual([
          true,
          3 + before,
        ]);}
      expect((await cartsOf(at).load("1")).state.items).toEqual({ nut: 1 + before, tea: 14 });
    }
  });

  test("is never said not to have happened because nobody can say just now what did", async () => {
    const at = shop();
    await cartsOf(at).execute("1", add("tea"), { context: message });
    let reads = 0;
    const read: EventStore["read"] = async (...args) =>
      reads++ === 0 ? at.store.read(...args) : Promise.reject(await faultLike("UNAVAILABLE"));
    const carts = cartsOf({ ...at, store: { ...plain(at.store), read } });
    const again = await settled(at.runtime, carts.execute("1", add("tea"), { context: message }));
    expect(!again.ok && again.error.code).toBe("TRANSPORT");
  });
});

describe("load", () => {
  test("the state at a version and at a time", async () => {
    const at = shop();
    const plainCarts = cartsOf(at);
    const kept = cartsOf(at, { snapshots: { store: at.states, every: 3 } });
    const times: number[] = [];
    for (let n = 0; n < 10; n++) {
      await plainCarts.execute("1", add("tea"));
      times.push(at.runtime.clock.wall());
      await at.runtime.advance(1000);
    }
    await kept.load("1");
    await kept.execute("1", { type: "look" });
    await Promise.all(at.runtime.work);
    for (const carts of [plainCarts, kept]) {
      for (let version = 1; version <= 10; version++) {
        const wanted = { state: { items: { tea: version }, closed: false }, version, position: version };
        expect(await carts.load("1", { version })).toMatchObject(wanted);
        expect(await carts.load("1", { at: times[version - 1]! })).toMatchObject(wanted);
        expect(await carts.load("1", { at: times[version - 1]! + 999 })).toMatchObject(wanted);
      }
      expect(await carts.load("1", { at: 0 })).toEqual({
        state: cart.initial,
        version: 0,
        position: 0,
        at: 0,
      });
      expect((await carts.load("1", { version: 99 })).version).toBe(10);
    }
    expect(await plainCarts.load("2")).toEqual({ state: cart.initial, version: 0, position: 0, at: 0 });
  });

  test("brings old events to the version of now, under old names too", async () => {
    const at = shop();
    const old = (id: string, type: string, data: unknown, meta?: unknown) => ({
      id,
      type,
      data: JSON.stringify(data),
      ...(meta === undefined ? {} : { meta: JSON.stringify(meta) }),
    });
    await at.store.append("cart/1", [
      old("1", "CartAdded", { product: "tea" }),
      old("2", "cart.added", { sku: "tea" }, { v: 2 }),
      old("3", "cart.added", { sku: "tea", quantity: 5 }, { v: 3 }),
    ]);
    const carts = cartsOf(at);
    expect((await carts.load("1")).state.items).toEqual({ tea: 7 });
    const types = (await Array.fromAsync(carts.history("1"))).map(({ type, data }) => [type, data]);
    expect(types[0] as unknown).toEqual(["cart.added", { sku: "tea", quantity: 1 }]);
  });

  const unreadable: [what: string, type: string, data: string, meta: string][] = [
    ["another type", "cart.lost", "{}", ""],
    ["a version of a newer program", "cart.closed", '{"at":1}', '{"v":2}'],
    ["data that do not fit", "cart.closed", '{"when":1}', ""],
    ["data that are no JSON", "cart.closed", "{", ""],
    ["data that reach a prototype", "cart.closed", '{"at":1,"__proto__":{}}', ""],
    ["a version that is none", "cart.closed", '{"at":1}', '{"v":0}'],
    ["old data that cannot be brought to now", "cart.added", "null", ""],
  ];
  test.each(unreadable)(
    "F23: %s makes reading fail, and is never passed over",
    async (_, type, data, meta) => {
      const at = shop();
      const carts = cartsOf(at);
      await carts.execute("1", add("tea"));
      await at.store.append("cart/1", [{ id: "x", type, data, ...(meta === "" ? {} : { meta }) }]);
      const loaded = await carts.load("1").catch((thrown) => thrown);
      expect([loaded.code, loaded.data]).toEqual([
        "SERIALIZATION",
        { type, stream: "cart/1", version: 2, position: 2 },
      ]);
      const executed = await carts.execute("1", add("nut"));
      expect(!executed.ok && executed.error.code).toBe("SERIALIZATION");
      expect((await carts.load("1", { version: 1 })).version).toBe(1);
    },
  );

  test("a gap in a stream is an alarm", async () => {
    const at = shop();
    for (let n = 0; n < 4; n++) await cartsOf(at).execute("1", add("tea"));
    const store: EventStore = {
      ...plain(at.store),
      read: async (...args) => (await at.store.read(...args)).filter(({ version }) => version !== 2),
    };
    const loaded = await cartsOf({ ...at, store }).load("1").catch((thrown) => thrown);
    expect([loaded.code, loaded.data]).toEqual(["SERIALIZATION", { stream: "cart/1", version: 3 }]);
  });

  test("reads on until a page is empty, however short pages are", async () => {
    const at = shop();
    await cartsOf(at).execute("1", add("tea", 1, 7));
    const store: EventStore = {
      ...plain(at.store),
      read: async (...args) => (await at.store.read(...args)).slice(0, 2),
    };
    const carts = cartsOf({ ...at, store });
    expect((await carts.load("1")).state.items).toEqual({ tea: 7 });
    const looked = await carts.execute("1", { type: "look" });
    expect(looked.ok && [looked.value.version, looked.value.state.items]).toEqual([7, { tea: 7 }]);
    await cartsOf(at).execute("1", add("nut"));
    const removed = await settled(at.runtime, carts.execute("1", { type: "remove", sku: "nut" }));
    expect(removed.ok && removed.value.state.items).toEqual({ tea: 7 });
    const added = await settled(at.runtime, cartsOf({ ...at, store }, { tries: 1 }).execute("1", add("nut")));
    expect(added.ok && added.value.version).toBe(10);
  });

  test("types and names that cannot be are refused at once", () => {
    const at = shop();
    const sourced = (name: string, options: object) => () =>
      eventSourced(name, { decider: cart, events: cartEvents, ...at, ...options } as never);
    const twice = { a: versioned(type<unknown>(), { formerly: ["b"] }), b: type<unknown>() };
    expect(sourced("cart", { events: twice })).toThrow("two types");
    for (const name of ["", "a/b", "a b", "n".repeat(101)]) expect(sourced(name, {})).toThrow(RangeError);
    expect(sourced("cart", { tries: 0 })).toThrow(RangeError);
    expect(sourced("cart", { patience: 0 })).toThrow(RangeError);
    for (const cache of [-1, 0.5, NaN]) expect(sourced("cart", { cache })).toThrow(RangeError);
    expect(sourced("cart", { snapshots: { store: at.states, every: 0 } })).toThrow(RangeError);
  });
});

describe("states that are kept", () => {
  const keeping = (at: Shop, every: number, version = 1, options: object = {}) =>
    cartsOf(at, { snapshots: { store: at.states, every, version }, ...options });
  const keptAt = async (at: Shop): Promise<number | undefined> => {
    const entry = await at.states.get("snapshots/cart/1");
    return entry && JSON.parse(entry.value).last.version;
  };

  test("come every so many events, not each time", async () => {
    const at = shop();
    const carts = keeping(at, 3);
    const seen: (number | undefined)[] = [];
    for (let n = 1; n <= 10; n++) {
      await carts.execute("1", add("tea"));
      await Promise.all(at.runtime.work);
      seen.push(await keptAt(at));
    }
    expect(seen).toEqual([undefined, undefined, undefined, 3, 3, 3, 6, 6, 6, 9]);
  });

  test("spare reading, and are equal to what reading all gives", async () => {
    const at = shop();
    for (let n = 0; n < 50; n++) await cartsOf(at).execute("1", add(`${n % 7}`));
    let read = 0;
    const store: EventStore = {
      ...plain(at.store),
      read: async (...args) => {
        const page = await at.store.read(...args);
        read += page.length;
        return page;
      },
    };
    const carts = keeping({ ...at, store }, 10);
    await carts.execute("1", { type: "look" });
    await Promise.all(at.runtime.work);
    read = 0;
    expect(await carts.load("1")).toEqual(await cartsOf(at).load("1"));
    expect(read).toBe(1);
  });

  test("of another version, broken or of other events are not used, and are written over", async () => {
    const other = { id: "x", version: 2, position: 2, at: 0 };
    const wrong = { items: { wrong: 1 }, closed: false };
    const values = [
      "{",
      "[]",
      "null",
      JSON.stringify({ v: 2, last: other, state: wrong }),
      JSON.stringify({ v: 1, last: other, state: wrong }),
      JSON.stringify({ v: 1, last: { ...other, version: 99 }, state: wrong }),
    ];
    for (const value of values) {
      const at = shop();
      for (let n = 0; n < 4; n++) await cartsOf(at).execute("1", add("tea"));
      await at.states.put("snapshots/cart/1", value);
      const carts = keeping(at, 2);
      expect((await carts.load("1")).state.items).toEqual({ tea: 4 });
      await carts.execute("1", add("tea"));
      await Promise.all(at.runtime.work);
      expect([value, await keptAt(at)]).toEqual([value, 4]);
    }
  });

  test("of another version are not used, though they are of these events", async () => {
    const at = shop();
    for (let n = 0; n < 5; n++) {
      await keeping(at, 2).execute("1", add("tea"));
      await Promise.all(at.runtime.work);
    }
    const { value } = (await at.states.get("snapshots/cart/1"))!;
    await at.states.put("snapshots/cart/1", value.replace('"tea"', '"wrong"'));
    expect((await keeping(at, 2, 1).load("1")).state.items).toEqual({ wrong: 4, tea: 1 });
    expect((await keeping(at, 2, 2).load("1")).state.items).toEqual({ tea: 5 });
  });

  test("never take the place of newer ones", async () => {
    const at = shop();
    for (let n = 0; n < 4; n++) await cartsOf(at).execute("1", add("tea"));
    let hold = (): void => {};
    const held = new Promise<void>((resolve) => hold = resolve);
    const slow: Store = { ...plain(at.states), put: (...args) => held.then(() => at.states.put(...args)) };
    await cartsOf(at, { snapshots: { store: slow, every: 2 } }).execute("1", add("tea"));
    await keeping(at, 2).execute("1", add("tea"));
    await at.runtime.work[1];
    hold();
    await Promise.all(at.runtime.work);
    expect(await keptAt(at)).toBe(5);
  });

  test("are not needed: a store that fails, hangs or is full costs a warning", async () => {
    const at = shop();
    for (let n = 0; n < 4; n++) await cartsOf(at).execute("1", add("tea"));
    const hang = (): Promise<never> => new Promise(() => {});
    for (
      const part of [{ get: hang }, { put: hang }, {
        get: async () => Promise.reject(await faultLike("TRANSPORT")),
      }]
    ) {
      const carts = cartsOf(at, { snapshots: { store: { ...plain(at.states), ...part }, every: 1 } });
      const executed = await settled(at.runtime, carts.execute("1", add("tea")));
      expect(executed.ok).toBe(true);
      await settled(at.runtime, Promise.all(at.runtime.work));
      expect(at.runtime.entries.splice(0).map(({ event }) => event)).toEqual(["snapshot.failed"]);
    }
  });

  test("F27: a state that would not survive being kept is not kept, with a warning", async () => {
    const at = shop();
    const decider = {
      ...cart,
      initial: new Map() as unknown as Cart,
      evolve: (state: Cart) => new Map(state as never) as unknown as Cart,
      decide: () => ({ type: "cart.closed", data: { at: 1 } }),
    };
    const carts = keeping(at, 1, 1, { decider });
    for (let n = 0; n < 3; n++) await carts.execute("1", add("tea"));
    await Promise.all(at.runtime.work);
    expect(await keptAt(at)).toBe(undefined);
    expect(at.runtime.entries[0]).toMatchObject({ level: "warn", event: "snapshot.failed" });
  });

  test("whatever happens, loading with them is loading without", async () => {
    const command = fc.oneof(
      fc.record({
        type: fc.constant("add" as const),
        sku: fc.constantFrom("a", "b"),
        times: fc.integer({ min: 1, max: 5 }),
      }),
      fc.record({ type: fc.constant("remove" as const), sku: fc.constantFrom("a", "b") }),
      fc.constant({ type: "look" as const }),
      fc.constant({ type: "close" as const }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 30 }),
        fc.integer({ min: 1, max: 6 }),
        async (commands, every) => {
          const at = shop();
          const carts = keeping(at, every);
          for (const each of commands) {
            await carts.execute("1", each);
            await Promise.all(at.runtime.work);
            const all = await cartsOf(at).load("1");
            expect(await carts.load("1")).toEqual(all);
            const version = Math.floor(all.version / 2);
            expect(await carts.load("1", { version })).toEqual(await cartsOf(at).load("1", { version }));
          }
        },
      ),
      { numRuns: 100, seed: 1 },
    );
  });
});

function plain<T extends object>(port: T): T {
  return new Proxy(port, {
    ownKeys:
      () => ["append", "read", "find", "readAll", "head", "changed", "get", "put", "delete", "list", "watch"],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (target, name) => {
      const member = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

async function faultLike(code: "TRANSPORT" | "UNAVAILABLE" | "INTERNAL"): Promise<Error> {
  const { CatgaError, systemFault } = await import("../../../src/result.ts");
  return new CatgaError(systemFault(code, "the line broke"));
}
