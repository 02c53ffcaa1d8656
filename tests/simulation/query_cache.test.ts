/** Answers that nodes keep, and commands that end them everywhere. */

import { describe, expect, test } from "bun:test";
import { command, createMediator, handle, query, type } from "@catga/catga";
import { joinCluster, localFirst, type Node } from "@catga/catga/cluster";
import { simulate, type SimulatedNetwork, type Simulation } from "@catga/catga/testing";
import { drain } from "./drain.ts";

const Price = query("price", {
  input: type<string>(),
  output: type<number>(),
  cache: { ttl: 600_000 },
  route: (_call, targets) => targets.find(({ id }) => id === "shop"),
});
const Reprice = command("reprice", {
  input: type<{ readonly sku: string; readonly price: number }>(),
  output: type<void>(),
  invalidates: [Price],
  route: (_call, targets) => targets.find(({ id }) => id === "shop"),
});

/** One shop that knows the prices, and two tills that ask it. */
class Market {
  readonly nodes: Map<string, Node> = new Map();
  readonly network: SimulatedNetwork;
  asked = 0;
  readonly #simulation: Simulation;
  readonly #timing: "fast" | "relaxed";
  readonly #prices: Map<string, number> = new Map();

  constructor(simulation: Simulation, timing: "fast" | "relaxed" = "fast") {
    this.#simulation = simulation;
    this.#timing = timing;
    this.network = simulation.network();
  }

  async open(): Promise<void> {
    for (const name of ["shop", "till1", "till2"]) {
      const runtime = this.#simulation.runtime(name);
      const handlers = [
        handle(Price, (sku) => {
          this.asked++;
          return this.#prices.get(sku) ?? 0;
        }),
        handle(Reprice, ({ sku, price }) => {
          this.#prices.set(sku, price);
        }),
      ];
      const app = createMediator({ runtime, handlers });
      const { backend } = this.network;
      const options = {
        node: name,
        endpoint: `sim:${name}`,
        backend,
        router: localFirst(),
        timing: this.#timing,
      };
      void joinCluster(app, options).then((node) => this.nodes.set(name, node));
    }
    await this.#simulation.until(() => this.nodes.size === 3, 5000);
    await this.#simulation.run(500);
  }

  async price(name: string, headers: Readonly<Record<string, string>> = {}): Promise<number | string> {
    let answer: number | string | undefined;
    void this.nodes.get(name)!.send(Price("p1"), { headers, timeout: 3000 }).then((result) =>
      answer = result.ok ? result.value : result.error.code
    );
    await this.#simulation.until(() => answer !== undefined, 5000);
    return answer!;
  }

  async reprice(name: string, price: number): Promise<boolean> {
    let ok: boolean | undefined;
    void this.nodes.get(name)!.send(Reprice({ sku: "p1", price })).then((result) => ok = result.ok);
    await this.#simulation.until(() => ok !== undefined, 5000);
    return ok!;
  }
}

const world = (seed: number) => ({ seed, ...(drain === undefined ? {} : { drain }) });

describe("a query's answers", () => {
  test("are kept by the node that asked, for each tenant its own, until a command says otherwise", async () => {
    await simulate(world(1), async (simulation) => {
      const market = new Market(simulation);
      await market.open();
      expect([await market.price("till1"), await market.price("till1"), await market.price("till2")]).toEqual(
        [0, 0, 0],
      );
      expect(market.asked).toBe(2);
      await market.price("till1", { tenant: "b" });
      expect(market.asked).toBe(3);
      expect(market.nodes.get("till1")!.inspect().cache).toMatchObject({ entries: 2, hits: 1, misses: 2 });

      expect(await market.reprice("till2", 7)).toBe(true);
      await simulation.run(1000);
      for (const name of ["till1", "till2", "shop"]) expect(await market.price(name)).toBe(7);
      expect(await market.price("till1", { tenant: "b" })).toBe(7);
    });
  });

  test("go within a second on every node, also where frames are lost", async () => {
    let changes = 0;
    let late = 0;
    for (let seed = 1; seed <= 20; seed++) {
      await simulate(world(seed), async (simulation) => {
        const market = new Market(simulation);
        await market.open();
        market.network.change({ loss: 0.02, duplicate: 0.1, latency: [1, 40] });
        const stale = async (price: number): Promise<boolean> => {
          const seen = [await market.price("till1"), await market.price("till2")];
          return seen.some((each) => typeof each === "number" && each < price);
        };
        for (let price = 1; price <= 10; price++) {
          await stale(price);
          if (!await market.reprice("till1", price)) continue;
          changes++;
          await simulation.run(1000);
          if (!await stale(price)) continue;
          // Word was lost; its sender finds out, and tells again.
          late++;
          await simulation.run(6000);
          expect(await stale(price)).toBe(false);
        }
      });
    }
    expect(changes).toBeGreaterThan(150);
    expect(late).toBeLessThan(0.1 * changes);
  }, 60_000);

  test("are five seconds old at most where word of commands does not come through, and go when it does again", async () => {
    await simulate(world(3), async (simulation) => {
      const market = new Market(simulation);
      await market.open();
      expect(await market.price("till1")).toBe(0);
      for (const [from, to] of [["shop", "till1"], ["till1", "shop"]] as const) market.network.cut(from, to);
      await simulation.run(2000);
      expect(await market.reprice("till2", 9)).toBe(true);
      const before = simulation.time;
      while (await market.price("till1") === 0) await simulation.run(100);
      expect(simulation.time - before).toBeLessThan(8500);
      for (const [from, to] of [["shop", "till1"], ["till1", "shop"]] as const) market.network.mend(from, to);
      await simulation.run(5000);
      expect(await market.price("till1")).toBe(9);
      expect(market.nodes.get("till1")!.inspect().cache.suspect).toBe(false);
    });
  });

  test("go once word that one node missed is told again, though nobody noticed that it was out of reach", async () => {
    await simulate(world(4), async (simulation) => {
      const market = new Market(simulation, "relaxed");
      await market.open();
      expect(await market.price("till1")).toBe(0);
      market.network.cut("shop", "till1");
      expect(await market.reprice("till2", 9)).toBe(true);
      await simulation.run(100);
      market.network.mend("shop", "till1");
      expect(await market.price("till1")).toBe(0);
      await simulation.run(6000);
      expect(await market.price("till1")).toBe(9);
    });
  });
});
