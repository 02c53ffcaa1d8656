/** Every crash between any two steps: no event is lost or doubled, no row counts one twice, no effect is left out. */

import { describe, expect, test } from "bun:test";
import { eventSourced, startProjection, startReadModel } from "@catga/catga/durable";
import {
  CrashPoint,
  type CrashPointOptions,
  simulatedEventStore,
  simulatedStore,
} from "@catga/catga/testing";
import { cart, type CartCommand, cartEvents } from "./cart.ts";
import { cartsOf, from, type World, world } from "./world.ts";

const COMMANDS: readonly (readonly [entity: string, command: CartCommand])[] = [
  ["1", { type: "add", sku: "tea", times: 2 }],
  ["2", { type: "add", sku: "nut" }],
  ["1", { type: "add", sku: "nut", quantity: 3 }],
  ["1", { type: "remove", sku: "tea" }],
  ["2", { type: "close" }],
  ["1", { type: "add", sku: "tea" }],
];
const EVENTS = 7;

interface Run {
  /** How many things the first process asked for. */
  readonly passed: number;
  readonly appended: readonly string[];
  readonly effects: readonly number[];
  readonly rows: Readonly<Record<string, number>>;
  readonly items: unknown;
}

/** A process that works through messages, acknowledged outside, while it keeps a read model and has effects. */
function work(at: World, point: CrashPoint, acked: Set<number>, effects: number[]): void {
  const runtime = at.node("app");
  const [events, store] = [point.wrap(at.events), point.wrap(at.store)];
  const life = { events, store, runtime, owner: "app", from, batch: 3, ttl: 1000 };
  const carts = cartsOf(events, runtime, { store, every: 2 });
  startProjection("effects", { ...life, handle: ({ position }) => void effects.push(position) });
  startReadModel("rows", {
    ...life,
    initial: 0,
    key: ({ entity, type }) => [entity, type],
    evolve: (count) => count + 1,
  });
  void (async () => {
    for (const [n, [entity, command]] of COMMANDS.entries()) {
      while (!acked.has(n) && !point.crashed) {
        const { ok } = await carts.execute(entity, command, { context: { id: `message ${n}` } });
        if (ok && !point.crashed) acked.add(n);
      }
    }
  })();
}

async function run(options: Pick<CrashPointOptions, "at" | "when">): Promise<Run> {
  const at = world();
  const acked = new Set<number>();
  const effects: number[] = [];
  const point = new CrashPoint({ ...options, crash: () => at.simulation.crash("app") });
  work(at, point, acked, effects);
  await at.simulation.until(() => point.crashed || acked.size === COMMANDS.length, 10_000);
  if (!point.crashed) await at.simulation.run(3000);
  if (point.crashed) {
    await at.simulation.run(100);
    work(at, new CrashPoint({ at: Infinity, when: "after", crash: () => {} }), acked, effects);
    await at.simulation.run(20_000);
  }
  expect(acked.size).toBe(COMMANDS.length);
  const all = await at.events.readAll();
  const entries = await at.store.list("projections/rows/of/");
  const rows = entries.map((
    { key, value },
  ) => [key.slice("projections/rows/of/".length), JSON.parse(value).s]);
  const loaded = await Promise.all(["1", "2"].map((id) => cartsOf(at.events, at.node("later")).load(id)));
  return {
    passed: point.passed,
    appended: all.map(({ stream, type, data }) => `${stream} ${type} ${type === "cart.closed" ? "" : data}`),
    effects,
    rows: Object.fromEntries(rows),
    items: loaded.map(({ state }) => state),
  };
}

describe("a crash", () => {
  test("G22: before and after each step loses and doubles nothing", async () => {
    const calm = await run({ at: Infinity, when: "after" });
    expect(calm.appended).toHaveLength(EVENTS);
    expect(calm.effects).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(calm.rows).toEqual({ "1": 5, "2": 2, "cart.added": 5, "cart.removed": 1, "cart.closed": 1 });
    expect(calm.passed).toBeGreaterThan(60);
    for (const when of ["before", "after"] as const) {
      for (let at = 1; at <= calm.passed; at++) {
        const crashed = await run({ at, when });
        const { effects, ...kept } = crashed;
        const { effects: _, ...wanted } = calm;
        expect({ ...kept, when, at }).toEqual({ ...wanted, passed: at, when, at });
        // Effects come in order, none left out, and after a crash only those not remembered come again.
        expect([...new Set(effects)]).toEqual([1, 2, 3, 4, 5, 6, 7]);
        const again = effects.findIndex((position, n) => n > 0 && position <= effects[n - 1]!);
        if (again > 0) expect(effects.slice(again)).toEqual([...effects.slice(again)].sort((a, b) => a - b));
      }
    }
  }, 60_000);
});

describe("stores that lose, refuse, hang and answer late", () => {
  test("G22: three nodes that crash and stand still lose and double nothing", async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const at = world(seed);
      const { simulation } = at;
      const conditions = { lost: 0.03, unanswered: 0.03, refused: 0.03, slow: 0.02 };
      const events = simulatedEventStore(simulation, { ...conditions, short: 0.3 });
      const store = simulatedStore(simulation, { ...conditions, broken: 0.02 });
      const names = ["a", "b", "c"];
      const acked = new Set<string>();
      const effects = new Set<number>();
      const begin = (name: string): void => {
        const runtime = simulation.runtime(name);
        const life = {
          events: events.open(runtime),
          store: store.open(runtime),
          runtime,
          owner: name,
          from,
          batch: 4,
          ttl: 3000,
        };
        const carts = eventSourced("cart", {
          decider: cart,
          events: cartEvents,
          store: life.events,
          runtime,
          snapshots: { store: life.store, every: 3 },
        });
        startProjection("effects", { ...life, handle: ({ position }) => void effects.add(position) });
        startReadModel("rows", {
          ...life,
          initial: 0,
          key: ({ entity }) => entity,
          evolve: (count) => count + 1,
        });
        void (async () => {
          for (let n = 0; n < 8; n++) {
            // Each message is taken by two of the nodes, as a queue would hand it out again.
            for (const owner of [name, names[(names.indexOf(name) + 1) % 3]!]) {
              const id = `${owner} ${n}`;
              while (!acked.has(`${name} ${id}`)) {
                const command = { type: "add", sku: id, times: 1 + (n % 2) } as const;
                const { ok } = await carts.execute(`${n % 2}`, command, { context: { id } });
                if (ok) acked.add(`${name} ${id}`);
              }
            }
          }
        })();
      };
      for (const name of names) begin(name);
      for (let step = 0; step < 6; step++) {
        await simulation.run(simulation.random.between(100, 3000));
        const name = simulation.random.pick(names);
        if (simulation.random.chance(0.5)) {
          simulation.crash(name);
          await simulation.run(simulation.random.between(0, 1000));
          begin(name);
        } else {
          simulation.pause(name);
          await simulation.run(simulation.random.between(0, 8000));
          simulation.resume(name);
        }
      }
      events.heal();
      store.heal();
      const done = (): boolean => acked.size === 48 && events.events().length === 36 && effects.size === 36;
      expect([seed, await simulation.until(done, 300_000)]).toEqual([seed, true]);
      await simulation.run(30_000);
      const skus = events.events().map(({ stream, data }) => `${stream} ${JSON.parse(data).sku}`);
      const counts = Map.groupBy(skus, (sku) => sku);
      expect([seed, [...counts].every(([sku, all]) => all.length === 1 + (Number(sku.at(-1)) % 2))]).toEqual([
        seed,
        true,
      ]);
      const rows = store.entries().filter(({ key }) => key.startsWith("projections/rows/of/"));
      expect([seed, rows.map(({ value }) => JSON.parse(value).s)]).toEqual([seed, [12, 24]]);
      for (const { key, value } of store.entries().filter(({ key }) => key.startsWith("snapshots/"))) {
        const { last, state } = JSON.parse(value);
        const stream = events.events().filter(({ stream }) => `snapshots/${stream}` === key);
        const folded = stream.slice(0, last.version)
          .map(({ type, data }) => ({ type, data: JSON.parse(data) }) as never)
          .reduce((state, event) => cart.evolve(state, event), cart.initial);
        expect(state).toEqual(folded);
      }
    }
  }, 60_000);
});
