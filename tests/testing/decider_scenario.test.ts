import { describe, expect, test } from "bun:test";
import { fail } from "@catga/catga";
import { scenario } from "@catga/catga/testing";
import { cart } from "../durable/events/cart.ts";

const tea = { type: "cart.added", data: { sku: "tea", quantity: 1 } } as const;
const closed = { type: "cart.closed", data: { at: 5 } } as const;

describe("a scenario", () => {
  const carts = scenario(cart);

  test("compares what was decided", () => {
    carts.given([]).when({ type: "add", sku: "tea" }).then([tea]);
    carts.given([tea]).when({ type: "add", sku: "tea", times: 2 }).then([tea, tea]);
    carts.given([tea]).when({ type: "look" }).then([]);
    carts.given([tea]).when({ type: "close" }, { now: 5 }).then([closed]);
    carts.given([tea, closed]).when({ type: "close" }).then(fail("CLOSED"));
    carts.given([]).when({ type: "remove", sku: "tea" }).then(fail("NOT_THERE", { sku: "tea" }));
    carts.given([tea]).when({ type: "add", sku: "tea" }).thenState({ items: { tea: 2 }, closed: false });
    carts.given([closed]).when({ type: "close" }).thenState({ items: {}, closed: true });
    expect(carts.given([tea, tea]).state).toEqual({ items: { tea: 2 }, closed: false });
  });

  test("throws when it is something else", () => {
    const when = carts.given([tea]).when({ type: "add", sku: "tea" });
    expect(() => when.then([])).toThrow("What was decided");
    expect(() => when.then([tea, tea])).toThrow();
    expect(() => when.then([closed])).toThrow();
    expect(() => when.then([{ ...tea, data: { ...tea.data, quantity: 2 } }])).toThrow('"quantity":2');
    expect(() => when.then(fail("CLOSED"))).toThrow("CLOSED");
    expect(() => when.thenState({ items: {}, closed: false })).toThrow("The state");
    const refused = carts.given([]).when({ type: "remove", sku: "tea" });
    expect(() => refused.then([])).toThrow("NOT_THERE");
    expect(() => refused.then(fail("CLOSED"))).toThrow();
    expect(() => refused.then(fail("NOT_THERE", { sku: "nut" }))).toThrow("nut");
  });

  test("says so when it is awaited", async () => {
    const when: unknown = carts.given([]).when({ type: "look" });
    expect(await Promise.resolve(when).catch((thrown: Error) => thrown.message)).toContain(
      "not to be awaited",
    );
  });
});
