/** Projections: every event, in order, never past one that cannot be read, whoever runs them. */

import { describe, expect, test } from "bun:test";
import { type } from "@catga/catga";
import { type EventsOf, type Projection, startProjection, startReadModel } from "@catga/catga/durable";
import { cartEvents } from "./cart.ts";
import { cartsOf, from, mortal, type World, world } from "./world.ts";

type Handle = (
  event: EventsOf<typeof from>,
  facts: { generation: number; signal: AbortSignal },
) => void | Promise<void>;

const add = (sku: string) => ({ type: "add" as const, sku });

function started(at: World, handle: Handle, owner = "a", options: object = {}): Projection {
  return startProjection("mails", {
    from,
    events: at.events,
    store: at.store,
    runtime: at.node(owner),
    owner,
    handle,
    ...options,
  });
}

function counting(at: World, owner = "a", options: object = {}) {
  return startReadModel("counts", {
    from,
    events: at.events,
    store: at.store,
    runtime: at.node(owner),
    owner,
    initial: 0,
    key: (event) => event.type === "cart.added" ? event.data.sku : undefined,
    evolve: (count) => count + 1,
    ...options,
  });
}

/** Puts something on this many carts. */
async function filled(at: World, count: number, carts = 3): Promise<number> {
  let position = 0;
  const shop = cartsOf(at.events, at.node("writer"));
  for (let n = 0; n < count; n++) {
    const executed = await at.settled(shop.execute(`${n % carts}`, add(`sku ${n % 5}`)));
    if (executed.ok) position = executed.value.position;
  }
  return position;
}

describe("a projection", () => {
  test("F25: hears all events of several streams, in one order, those that come too", async () => {
    const at = world();
    await at.events.append("other/1", [{ id: "1", type: "unknown", data: "" }]);
    await filled(at, 700);
    const heard: number[] = [];
    const mails = started(at, ({ position }) => void heard.push(position));
    expect(await at.settled(mails.reached(701))).toBe(true);
    await filled(at, 20);
    expect(await at.settled(mails.reached(721))).toBe(true);
    expect(heard).toEqual(Array.from({ length: 720 }, (_, n) => n + 2));
    expect(mails.status()).toEqual({ state: "running", position: 721, fault: undefined, failures: 0 });
    await at.settled(mails.stop());
    expect(mails.status().state).toBe("over");
  });

  test("hears of what is new at once, not when it looks again", async () => {
    const at = world();
    const heard: number[] = [];
    const mails = started(at, ({ position }) => void heard.push(position), "a", { poll: 60_000 });
    await at.simulation.run(10_000);
    const before = at.simulation.time;
    await filled(at, 1);
    await at.settled(mails.reached(1));
    expect(at.simulation.time - before).toBeLessThan(300);
    expect(heard).toEqual([1]);
    await at.settled(mails.stop());
  });

  test("goes on where it was, in one process at a time", async () => {
    const at = world();
    const heard: string[] = [];
    const hear = (who: string): Handle => ({ position }) => void heard.push(`${who}${position}`);
    const a = started(at, hear("a"), "a");
    await filled(at, 3);
    await at.settled(a.reached(3));
    const ports = { events: mortal(at, "b", at.events), store: mortal(at, "b", at.store) };
    const b = started(at, hear("b"), "b", ports);
    await filled(at, 3);
    await at.settled(b.reached(6));
    expect(b.status().state).toBe("waiting");
    await at.settled(a.stop());
    await filled(at, 3);
    await at.settled(b.reached(9));
    expect(heard).toEqual(["a1", "a2", "a3", "a4", "a5", "a6", "b7", "b8", "b9"]);
    at.simulation.crash("b");
    await filled(at, 1);
    const c = started(at, hear("c"), "c");
    expect(await at.settled(c.reached(10, { timeout: 20_000 }))).toBe(true);
    expect(heard.at(-1)).toBe("c10");
    await at.settled(c.stop());
  });

  test("F23: stops with an alarm at an event that it cannot read, and goes on where somebody can", async () => {
    const at = world();
    const heard: number[] = [];
    const old = started(at, ({ position }) => void heard.push(position));
    await filled(at, 2);
    await at.events.append("cart/9", [{ id: "x", type: "cart.gift", data: "{}" }]);
    await filled(at, 2);
    await at.simulation.run(60_000);
    expect(heard).toEqual([1, 2]);
    expect(old.status()).toMatchObject({ state: "failed", position: 2, fault: { code: "SERIALIZATION" } });
    const alarm = at.logged.find(({ event }) => event === "projection.failed");
    expect(alarm).toMatchObject({ level: "error", fields: { projection: "mails", position: 3 } });
    expect(await at.settled(old.lag())).toMatchObject({ position: 2, head: 5 });
    expect(await at.settled(old.reached(3, { timeout: 1000 }))).toBe(false);
    // A newer program on another node.
    const newer = startProjection("mails", {
      from: { cart: { ...cartEvents, "cart.gift": type<unknown>() } },
      events: at.events,
      store: at.store,
      runtime: at.node("b"),
      owner: "b",
      handle: ({ position }) => void heard.push(position),
    });
    await at.settled(newer.reached(5, { timeout: 120_000 }));
    expect(heard).toEqual([1, 2, 3, 4, 5]);
    await at.settled(Promise.all([newer.stop(), old.stop()]));
  });

  test("calls a handler that fails again until it does not, and nothing later before", async () => {
    const at = world();
    const heard: number[] = [];
    let broken = 4;
    const mails = started(at, ({ position }) => {
      heard.push(position);
      if (position === 2 && broken-- > 0) throw new Error("no paper");
    });
    await filled(at, 3);
    await at.settled(mails.reached(3, { timeout: 60_000 }));
    expect(heard).toEqual([1, 2, 2, 2, 2, 2, 3]);
    const alarms = at.logged.filter(({ event }) => event === "projection.failed");
    expect(alarms.map(({ fields }) => fields!["failures"])).toEqual([1, 2, 3, 4]);
    expect(mails.status()).toMatchObject({ state: "running", fault: undefined, failures: 0 });
    await at.settled(mails.stop());
  });

  test("waits for no handler for ever, and tells it", async () => {
    const at = world();
    const ended: boolean[] = [];
    const mails = started(
      at,
      (_, { signal }) => {
        signal.addEventListener("abort", () => ended.push(true));
        return ended.length < 2 ? new Promise(() => {}) : undefined;
      },
      "a",
      { timeout: 1000 },
    );
    await filled(at, 1);
    expect(await at.settled(mails.reached(1, { timeout: 60_000 }))).toBe(true);
    expect(ended).toEqual([true, true]);
    await at.settled(mails.stop());
  });

  test("finishes the event it is at when it stops, and remembers that", async () => {
    const at = world();
    let finish = (): void => {};
    const heard: string[] = [];
    await filled(at, 2);
    const a = started(at, async ({ position }) => {
      heard.push(`begins ${position}`);
      await new Promise<void>((resolve) => finish = resolve);
      heard.push(`ends ${position}`);
    });
    await at.simulation.run(1000);
    const stopped = a.stop();
    await at.simulation.run(1000);
    finish();
    await at.settled(stopped);
    const b = started(at, ({ position }) => void heard.push(`b ${position}`), "b");
    await at.settled(b.reached(2));
    expect(heard).toEqual(["begins 1", "ends 1", "b 2"]);
    await at.settled(b.stop());
    expect(at.simulation.pending().background).toBe(0);
    expect(at.simulation.pending().timers).toBe(0);
  });

  test("remembers how far it has come each second, however long a page takes", async () => {
    const at = world();
    await filled(at, 20);
    const { clock } = at.node("a");
    const mails = started(at, () => new Promise((resolve) => void clock.timer(400, resolve)));
    await at.simulation.run(5000);
    const { position } = await at.settled(mails.lag());
    expect([position >= 8, position <= 13]).toEqual([true, true]);
    await at.settled(mails.stop());
  });

  test("F26: begins anew when it is told to, wherever it is run", async () => {
    const at = world();
    const heard: string[] = [];
    const a = started(at, ({ position }, { generation }) => void heard.push(`${generation}.${position}`));
    const b = started(at, () => {}, "b");
    await filled(at, 2);
    await at.settled(a.reached(2));
    await at.settled(b.rebuild());
    await at.simulation.run(5000);
    await filled(at, 1);
    await at.settled(a.reached(3));
    expect(heard).toEqual(["0.1", "0.2", "1.1", "1.2", "1.3"]);
    await at.settled(Promise.all([a.stop(), b.stop()]));
  });

  test("says how far it is behind", async () => {
    const at = world();
    const mails = started(at, ({ position }) => position < 3 ? undefined : new Promise(() => {}));
    await filled(at, 2);
    await at.settled(mails.reached(2));
    expect(await at.settled(mails.lag())).toEqual({ position: 2, head: 2, age: 0, generation: 0 });
    await filled(at, 2);
    await at.simulation.run(4000);
    const { position, head, age } = await at.settled(mails.lag());
    expect([position, head, age >= 4000 && age < 5000]).toEqual([2, 4, true]);
  });

  test("goes on when its stores come back", async () => {
    const at = world();
    let away = true;
    const broken = <T extends object>(port: T): T =>
      new Proxy(port, {
        get: (target, name) => {
          const member = Reflect.get(target, name, target);
          return typeof member !== "function"
            ? member
            : (...args: unknown[]) =>
              away ? Promise.reject(new Error("away")) : Reflect.apply(member, target, args);
        },
      });
    const heard: number[] = [];
    const options = { events: broken(at.events), store: at.store };
    const mails = started(at, ({ position }) => void heard.push(position), "a", options);
    await filled(at, 2);
    await at.simulation.run(20_000);
    expect(at.logged.map(({ event }) => event)).toContain("projection.store_failed");
    away = false;
    expect(await at.settled(mails.reached(2, { timeout: 20_000 }))).toBe(true);
    expect(heard).toEqual([1, 2]);
    await at.settled(mails.stop());
  });

  test("is refused what cannot be", () => {
    const at = world();
    expect(() => started(at, () => {}, "a", { from: {} })).toThrow(RangeError);
    expect(() => started(at, () => {}, "a", { timeout: 0 })).toThrow(RangeError);
    expect(() => started(at, () => {}, "a", { from: { "a/b": cartEvents } })).toThrow(RangeError);
  });
});

describe("a read model", () => {
  const all = { "sku 0": 2, "sku 1": 2, "sku 2": 2, "sku 3": 2, "sku 4": 2 };
  const listed = async (at: World, model: ReturnType<typeof counting>): Promise<Record<string, number>> =>
    Object.fromEntries((await at.settled(model.list())).map(({ key, state }) => [key, state]));

  test("keeps a row for each key", async () => {
    const at = world();
    const counts = counting(at);
    await filled(at, 10);
    await at.settled(counts.reached(10));
    expect(await listed(at, counts)).toEqual(all);
    expect(await at.settled(counts.get("sku 3"))).toBe(2);
    expect(await at.settled(counts.get("sku 9"))).toBe(undefined);
    expect((await at.settled(counts.list("sku 3", { limit: 1 })))[0]).toEqual({
      key: "sku 3",
      state: 2,
      position: 9,
    });
    await at.settled(counts.stop());
  });

  test("is listed page by page, also where rows of a page were taken away", async () => {
    const at = world();
    const counts = counting(at, "a", {
      key: ({ data }: { data: { sku: string } }) => ["", data.sku],
      evolve: (count: number, { data }: { data: { sku: string } }) =>
        data.sku === "sku 1" ? undefined : count + 1,
    });
    await filled(at, 10);
    await at.settled(counts.reached(10));
    const keys: string[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await at.settled(counts.list("", { limit: 2, after }));
      keys.push(...page.map(({ key }) => key));
      if (page.length < 2) break;
      after = keys.at(-1);
    }
    expect(keys).toEqual(["", "sku 0", "sku 2", "sku 3", "sku 4"]);
    expect((await at.settled(counts.list("sku", { after: "", limit: 1 })))[0]!.key).toBe("sku 0");
    await at.settled(counts.stop());
  });

  test("has one row where there are no keys, and several where an event is about several", async () => {
    const at = world();
    const one = startReadModel("one", {
      from,
      events: at.events,
      store: at.store,
      runtime: at.node("a"),
      owner: "a",
      initial: [] as string[],
      evolve: (skus, event) => event.type === "cart.added" ? [...skus, event.data.sku] : skus,
    });
    const two = counting(at, "b", { key: () => ["x", "y", "x"] });
    await filled(at, 3);
    await at.settled(Promise.all([one.reached(3), two.reached(3)]));
    expect(await at.settled(one.get())).toEqual(["sku 0", "sku 1", "sku 2"]);
    expect(await listed(at, two)).toEqual({ x: 3, y: 3 });
    await at.settled(Promise.all([one.stop(), two.stop()]));
  });

  test("takes rows away, and makes them anew", async () => {
    const at = world();
    const open = counting(at, "a", {
      key: ({ entity }: { entity: string }) => entity,
      evolve: (count: number, event: { type: string }) =>
        event.type === "cart.closed" ? undefined : count + 1,
    });
    await filled(at, 4, 2);
    const carts = cartsOf(at.events, at.node("writer"));
    await at.settled(carts.execute("0", { type: "close" }));
    await at.settled(open.reached(5));
    expect(await listed(at, open)).toEqual({ "1": 2 });
    await at.settled(open.rebuild());
    await at.simulation.run(5000);
    expect(await listed(at, open)).toEqual({ "1": 2 });
    await at.settled(open.stop());
  });

  test("tells of a row's changes, not of others whose keys begin like it", async () => {
    const at = world();
    const counts = counting(at);
    const told: unknown[] = [];
    const controller = new AbortController();
    void (async () => {
      for await (const state of counts.watch("sku", { signal: controller.signal })) told.push(["sku", state]);
    })();
    void (async () => {
      for await (const state of counts.watch("sku 1", { signal: controller.signal })) told.push(state);
      told.push("end");
    })();
    await filled(at, 2);
    await at.simulation.run(1000);
    await filled(at, 2);
    await at.simulation.run(1000);
    controller.abort();
    await at.simulation.run(1000);
    expect(told).toEqual([["sku", undefined], undefined, 1, 2, "end"]);
    await at.settled(counts.stop());
  });

  test("is what all events make of it after it began anew, and keeps no row of before", async () => {
    const at = world();
    const counts = counting(at, "a", { batch: 3 });
    await filled(at, 10);
    await at.settled(counts.reached(10));
    await at.settled(counts.stop());
    const upper = counting(at, "b", {
      batch: 3,
      key: (event: { data: { sku: string } }) =>
        event.data.sku === "sku 4" ? undefined : event.data.sku.toUpperCase(),
    });
    await at.settled(upper.rebuild());
    await at.settled(upper.reached(10));
    await at.simulation.run(10_000);
    expect(await listed(at, upper)).toEqual({ "SKU 0": 2, "SKU 1": 2, "SKU 2": 2, "SKU 3": 2 });
    await at.settled(upper.stop());
  });

  test("stops with an alarm at an event that it cannot apply, done with those before", async () => {
    const at = world();
    const failures: [what: string, options: object][] = [
      ["evolve", {
        evolve: (count: number, { position }: { position: number }) => {
          if (position === 4) throw new Error("no");
          return count + 1;
        },
      }],
      ["key", {
        key: ({ position }: { position: number }) => {
          if (position === 4) throw new Error("no");
          return "k";
        },
      }],
    ];
    failures.push(["long", {
      key: ({ position }: { position: number }) => position === 4 ? "k".repeat(497 - "long".length) : "k",
    }]);
    await filled(at, 6);
    for (const [what, options] of failures) {
      const model = startReadModel(what, {
        ...{ from, events: at.events, store: at.store, runtime: at.node(what), owner: what, initial: 0 },
        evolve: (count: number) => count + 1,
        ...options,
      });
      await at.simulation.run(10_000);
      expect(model.status()).toMatchObject({ state: "failed", position: 3 });
      expect((await at.settled(model.list()))[0]!.state).toBe(3);
      await at.settled(model.stop());
    }
    const large = startReadModel("large", {
      ...{ from, events: at.events, store: at.store, runtime: at.node("large"), owner: "large", initial: "" },
      evolve: (text: string) => text + "x".repeat(100_000),
      batch: 1,
    });
    await at.simulation.run(10_000);
    expect(large.status()).toMatchObject({ state: "failed", position: 2, fault: { code: "VALIDATION" } });
    await at.settled(large.stop());
  });
});
