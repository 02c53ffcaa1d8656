/** Following all events with `for await`. */

import { describe, expect, test } from "bun:test";
import { subscribeEvents, type SubscribeEventsOptions } from "@catga/catga/durable";
import { simulatedEventStore } from "@catga/catga/testing";
import { cartsOf, from, type World, world } from "./world.ts";

type Options = Partial<SubscribeEventsOptions<typeof from>>;

/** What a subscription has told so far, and how it ended. */
function follow(at: World, options: Options = {}): { positions: number[]; end: unknown } {
  const told: { positions: number[]; end: unknown } = { positions: [], end: "open" };
  void (async () => {
    const all = { from, store: at.events, runtime: at.node("reader"), ...options };
    for await (const { position } of subscribeEvents(all)) told.positions.push(position);
  })().then(() => told.end = "over", (thrown) => told.end = thrown.code);
  return told;
}

async function filled(at: World, count: number): Promise<void> {
  const carts = cartsOf(at.events, at.node("writer"));
  for (let n = 0; n < count; n++) await at.settled(carts.execute(`${n % 3}`, { type: "add", sku: "tea" }));
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

describe("a subscription", () => {
  test("F25: tells all that is there, of every stream, then what comes", async () => {
    const at = world();
    await filled(at, 20);
    await at.events.append("other/1", [{ id: "1", type: "what", data: "" }]);
    const told = follow(at, { batch: 7 });
    await at.simulation.run(100);
    expect(told.positions).toEqual(range(1, 20));
    await filled(at, 5);
    await at.simulation.run(100);
    expect(told).toEqual({ positions: [...range(1, 20), ...range(22, 26)], end: "open" });
  });

  test("begins after a position, or now", async () => {
    const at = world();
    await filled(at, 5);
    const [after, now] = [follow(at, { after: 3 }), follow(at, { after: "now" })];
    await at.simulation.run(100);
    await filled(at, 1);
    await at.simulation.run(100);
    expect([after.positions, now.positions]).toEqual([[4, 5, 6], [6]]);
  });

  test("ends when it is told to, and leaves nothing behind", async () => {
    const at = world();
    await filled(at, 3);
    const controller = new AbortController();
    const told = follow(at, { signal: controller.signal });
    await at.simulation.run(100);
    controller.abort();
    await at.simulation.run(100);
    expect(told).toEqual({ positions: [1, 2, 3], end: "over" });
    const events = subscribeEvents({ from, store: at.events, runtime: at.node("reader") });
    await at.settled(events.next());
    await at.settled(events.return());
    expect(at.simulation.pending().timers).toBe(0);
  });

  test("F23: never passes over an event that it cannot read", async () => {
    const at = world();
    await filled(at, 2);
    await at.events.append("cart/1", [{ id: "x", type: "cart.gift", data: "{}" }]);
    await filled(at, 2);
    const told = follow(at);
    await at.simulation.run(100);
    expect(told).toEqual({ positions: [1, 2], end: "SERIALIZATION" });
  });

  test("goes on over a store that fails, and misses and doubles nothing", async () => {
    const at = world();
    const server = simulatedEventStore(at.simulation, { lost: 0.2, refused: 0.2, slow: 0.1, short: 0.5 });
    const writer = server.open(at.node("writer"));
    void (async () => {
      for (let n = 1; n <= 50; n++) {
        const event = { id: `${n}`, type: "cart.removed", data: '{"sku":"tea"}' };
        while (await writer.append("cart/1", [event]).then(() => false, () => true));
      }
    })();
    const told = follow(at, { store: server.open(at.node("reader")), batch: 5 });
    expect(await at.simulation.until(() => told.positions.length >= 50, 600_000)).toBe(true);
    await at.simulation.run(5000);
    expect(told).toEqual({ positions: range(1, 50), end: "open" });
  });
});
