/** States that a process keeps: they spare reading, and are never anything but what the store tells. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decider, eventSourced, type SnapshotOptions } from "@catga/catga/durable";
import { memoryEventStore, memoryStore } from "@catga/catga/memory";
import type { EventStore } from "@catga/catga/ports";
import { seededRandom } from "@catga/catga/testing";
import { type FakeRuntime, fakeRuntime } from "../../behaviors/fake_runtime.ts";
import { Freezer } from "../../../src/durable/events/freezer.ts";
import { type Cart, cart, type CartCommand, type CartEvent, cartEvents } from "./cart.ts";

interface Reading {
  readonly runtime: FakeRuntime;
  readonly work: Promise<unknown>[];
  /** What is kept; another may take its place. */
  store: EventStore;
  /** How many events were read. */
  events: number;
  requests: number;
}

function reading(seed = 1): Reading {
  const random = seededRandom(seed);
  const work: Promise<unknown>[] = [];
  const fake = fakeRuntime(() => random.below(2 ** 32));
  const runtime = { ...fake, background: (each: Promise<unknown>) => void work.push(each) };
  return { runtime, work, store: memoryEventStore(runtime), events: 0, requests: 0 };
}

function storeOf(at: Reading): EventStore {
  return {
    append: (...args) => at.store.append(...args),
    read: async (...args) => {
      const page = await at.store.read(...args);
      at.requests++;
      at.events += page.length;
      return page;
    },
    find: (...args) => at.store.find(...args),
    readAll: (...args) => at.store.readAll(...args),
    head: (...args) => at.store.head(...args),
    changed: (...args) => at.store.changed(...args),
  };
}

function cartsOf(at: Reading, cache?: number, snapshots?: SnapshotOptions, behavior: typeof cart = cart) {
  const { runtime } = at;
  const options = { decider: behavior, events: cartEvents, store: storeOf(at), runtime, snapshots };
  return eventSourced("cart", cache === undefined ? options : { ...options, cache });
}

/** How many events are read, in how many requests. */
async function spent(at: Reading, work: () => Promise<unknown>): Promise<[events: number, requests: number]> {
  at.events = at.requests = 0;
  await work();
  return [at.events, at.requests];
}

const add = (sku: string, times = 1): CartCommand => ({ type: "add", sku, times });
const close: CartCommand = { type: "close" };

describe("states that a process keeps", () => {
  test("spare reading what has not changed", async () => {
    const at = reading();
    const carts = cartsOf(at);
    await carts.execute("1", add("tea", 500));
    expect(await spent(at, () => carts.load("1"))).toEqual([500, 2]);
    expect(await spent(at, () => carts.load("1"))).toEqual([1, 1]);
    expect(await spent(at, () => carts.execute("1", add("nut")))).toEqual([1, 1]);
    expect(await spent(at, () => carts.execute("1", add("nut")))).toEqual([2, 1]);
    expect((await carts.load("1")).state.items).toEqual({ tea: 500, nut: 2 });
  });

  test("are brought to what others did meanwhile", async () => {
    const at = reading();
    const [ours, others] = [cartsOf(at), cartsOf(at)];
    for (let n = 1; n <= 5; n++) {
      await ours.execute("1", add("tea"));
      await others.execute("1", add("nut", n));
      expect(await ours.load("1")).toEqual(await cartsOf(at, 0).load("1"));
    }
    await others.execute("1", close);
    const refused = await ours.execute("1", add("tea"));
    expect(!refused.ok && refused.error.code).toBe("CLOSED");
  });

  test("cannot be changed by whoever is given one", async () => {
    const at = reading();
    const carts = cartsOf(at);
    await carts.execute("1", add("tea"));
    const { state } = await carts.load("1");
    const items = state.items as Record<string, number>;
    expect(() => items["tea"] = 99).toThrow(TypeError);
    const executed = await carts.execute("1", add("nut"));
    if (executed.ok) (executed.value.state as { closed: boolean }).closed = true;
    expect((await carts.load("1")).state).toEqual({ items: { tea: 1, nut: 1 }, closed: false });
  });

  test("F16: are not used where the store was put back and something else has happened", async () => {
    const cases = [0, 1, 4, 5, 6].flatMap((before) => [[before, true], [before, false]] as const);
    for (const [before, loads] of cases) {
      const at = reading();
      const carts = cartsOf(at);
      for (let n = 0; n < 5; n++) await carts.execute("1", add("tea"));
      await carts.load("1");
      at.store = memoryEventStore(at.runtime);
      for (let n = 0; n < before; n++) await cartsOf(at).execute("1", n === 0 ? close : { type: "look" });
      if (before > 0) {
        const open = { ...cart, decide: () => ({ type: "cart.closed" as const, data: { at: 1 } }) };
        const closing = cartsOf(at, 0, undefined, open as unknown as typeof cart);
        for (let n = 1; n < before; n++) await closing.execute("1", close);
      }
      if (loads) expect(await carts.load("1")).toEqual(await cartsOf(at, 0).load("1"));
      const executed = await carts.execute("1", add("nut"));
      expect([before, !executed.ok && executed.error.code]).toEqual([before, before > 0 && "CLOSED"]);
      expect(await carts.load("1")).toEqual(await cartsOf(at, 0).load("1"));
    }
  });

  test("hide no event that cannot be read", async () => {
    const at = reading();
    const carts = cartsOf(at);
    await carts.execute("1", add("tea"));
    await carts.load("1");
    await at.store.append("cart/1", [{ id: "x", type: "cart.lost", data: "{}" }]);
    const thrown = await carts.load("1").catch((thrown) => thrown.code);
    const executed = await carts.execute("1", add("tea"));
    expect([thrown, !executed.ok && executed.error.code]).toEqual(["SERIALIZATION", "SERIALIZATION"]);
    expect((await carts.load("1", { version: 1 })).state.items).toEqual({ tea: 1 });
  });

  test("are of the version or the time that is asked for", async () => {
    const at = reading();
    const carts = cartsOf(at);
    const times: number[] = [];
    for (let n = 1; n <= 5; n++) {
      await carts.execute("1", add("tea"));
      times.push(at.runtime.clock.wall());
      await at.runtime.advance(10);
      await carts.load("1");
    }
    for (let version = 0; version <= 5; version++) {
      expect((await carts.load("1", { version })).version).toBe(version);
      expect((await carts.load("1", { at: times[version - 1] ?? 0 })).version).toBe(version);
    }
    expect(await spent(at, () => carts.load("1"))).toEqual([1, 1]);
  });

  test("are as many as were asked for, and none if that is 0", async () => {
    const at = reading();
    const carts = cartsOf(at, 2), none = cartsOf(at, 0);
    for (const id of ["1", "2", "3"]) await carts.execute(id, add("tea", 10));
    for (const id of ["1", "2", "3"]) await carts.load(id);
    const kept: number[] = [];
    for (const id of ["3", "2", "1"]) kept.push((await spent(at, () => carts.load(id)))[0]);
    expect(kept).toEqual([1, 1, 10]);
    await none.load("1");
    expect(await spent(at, () => none.load("1"))).toEqual([10, 2]);
  });

  test("are plain data: a Map, a Date or a cycle is made anew each time, and left as it is", async () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    for (const odd of [() => new Map(), () => new Date(0), () => cycle, () => () => 1]) {
      const at = reading();
      const behavior = decider({
        initial: { items: {}, closed: false } as Cart,
        decide: () => ({ type: "cart.closed" as const, data: { at: 1 } }),
        evolve: (state: Cart, _: CartEvent) => ({ items: { ...state.items }, closed: true, odd: odd() }),
      });
      const carts = cartsOf(at, 10, undefined, behavior as unknown as typeof cart);
      for (let n = 0; n < 3; n++) await carts.execute("1", close);
      const { state } = await carts.load("1");
      expect([Object.isFrozen(state), Object.isFrozen(state.items)]).toEqual([false, false]);
      expect(await spent(at, () => carts.load("1"))).toEqual([3, 2]);
    }
  });

  test("are kept in the store as often as without", async () => {
    const at = reading();
    const store = memoryStore(at.runtime);
    const snapshots = { store, every: 3 };
    const [ours, others] = [cartsOf(at, 10, snapshots), cartsOf(at, 10, snapshots)];
    const kept: number[] = [];
    const look = async (carts: typeof ours): Promise<void> => {
      await carts.execute("1", add("tea"));
      await Promise.all(at.work);
      const entry = await store.get("snapshots/cart/1");
      kept.push(entry === undefined ? 0 : JSON.parse(entry.value).last.version);
    };
    for (let n = 0; n < 12; n++) await look(ours);
    expect(kept.splice(0)).toEqual([0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9]);
    for (let n = 0; n < 6; n++) await look(others);
    for (let n = 0; n < 6; n++) await look(ours);
    for (let n = 1; n < kept.length; n++) expect(kept[n]! - kept[n - 1]!).toBeLessThan(7);
    expect(kept.at(-1)).toBeGreaterThan(19);
    expect(await cartsOf(at, 0, snapshots).load("1")).toEqual(await cartsOf(at, 0).load("1"));
  });

  test("are what reading all gives, whatever two nodes do", async () => {
    const step = fc.record({
      node: fc.integer({ min: 0, max: 1 }),
      id: fc.constantFrom("1", "2", "3"),
      command: fc.oneof(
        fc.record({
          type: fc.constant("add" as const),
          sku: fc.constantFrom("a", "b"),
          times: fc.integer({ min: 1, max: 4 }),
        }),
        fc.record({ type: fc.constant("remove" as const), sku: fc.constantFrom("a", "b") }),
        fc.constant({ type: "look" as const }),
      ),
      limit: fc.integer({ min: 1, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.integer({ min: 1, max: 3 }),
        async (steps, cache) => {
          const at = reading();
          let most = 5;
          const whole = at.store;
          const short: EventStore["read"] = async (...args) => (await whole.read(...args)).slice(0, most);
          at.store = new Proxy(whole, {
            get: (target, name) => {
              const member = name === "read" ? short : Reflect.get(target, name, target);
              return typeof member === "function" ? member.bind(target) : member;
            },
          });
          const nodes = [cartsOf(at, cache), cartsOf(at, cache)];
          for (const { node, id, command, limit } of steps) {
            most = limit;
            const executed = await nodes[node]!.execute(id, command);
            const all = await cartsOf(at, 0).load(id);
            if (executed.ok) {
              expect([executed.value.state, executed.value.version]).toEqual([
                all.state,
                all.version,
              ]);
            }
            for (const carts of nodes) expect(await carts.load(id)).toEqual(all);
          }
        },
      ),
      { numRuns: 100, seed: 1 },
    );
  });
});

describe("freezing", () => {
  const frozen = (value: unknown): boolean =>
    typeof value !== "object" || value === null ||
    (Object.isFrozen(value) && Object.values(value).every(frozen));

  test("reaches all of it, and knows its size also where a part was frozen before", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (part, rest) => {
        const whole = () => ({ part: structuredClone(part), rest: structuredClone(rest) });
        const size = new Freezer(1e6).freeze(whole());
        const freezer = new Freezer(1e6);
        const first = whole();
        freezer.freeze(first);
        const second = { part: first.part, rest: structuredClone(rest) };
        expect(freezer.freeze(second)).toBe(size);
        expect([frozen(first), frozen(second)]).toEqual([true, true]);
        expect(size).toBeGreaterThan(JSON.stringify(part).length / 4);
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  test("looks into what somebody else has frozen", () => {
    const value = Object.freeze({ open: { to: "all" } });
    new Freezer(1000).freeze(value);
    expect(frozen(value)).toBe(true);
  });

  test("leaves alone what it cannot freeze as a whole", () => {
    let deep: unknown = 1;
    for (let n = 0; n < 70; n++) deep = { deep };
    const unfit = [new Set(), new Uint8Array(2), { [Symbol("x")]: 1 }, deep, "x".repeat(1000), () => 1];
    for (const each of unfit) {
      const value = { fine: { a: 1 }, each };
      expect(new Freezer(1000).freeze(value)).toBe(undefined);
      expect([Object.isFrozen(value), Object.isFrozen(value.fine)]).toEqual([false, false]);
    }
  });
});
