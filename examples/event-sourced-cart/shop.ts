import { createMediator, handle, type Mediator } from "@catga/catga";
import {
  eventSourced,
  type Projection,
  type ReadModel,
  type Recorded,
  startProjection,
  startReadModel,
} from "@catga/catga/durable";
import type { EventStore, Runtime, Store } from "@catga/catga/ports";
import { type Cart, cart, type CartEvent, cartEvents, totalOf } from "./cart.ts";
import { AddItem, CheckOut, GetCart, RemoveItem, type View } from "./contracts.ts";

/** What the shop stands on. */
export interface ShopHost {
  readonly events: EventStore;
  readonly store: Store;
  readonly runtime: Runtime;
  /** Takes the bill of a cart; after a crash perhaps again, with the same position. */
  readonly bill: (cart: string, total: number, position: number) => void;
}

/** The shop: what answers, and what is made of its events. */
export interface Shop extends AsyncDisposable {
  readonly app: Mediator;
  /** What has happened to a cart. */
  history(cart: string): AsyncGenerator<Recorded<CartEvent>>;
  /** How many of each thing were put into carts. */
  readonly wanted: ReadModel<number>;
  readonly bills: Projection;
}

export function openShop({ events, store, runtime, bill }: ShopHost): Shop {
  const carts = eventSourced("cart", {
    decider: cart,
    events: cartEvents,
    store: events,
    runtime,
    snapshots: { store, every: 20 },
  });
  const app = createMediator({
    runtime,
    handlers: [
      handle(AddItem, async ({ cart, ...item }, context) => {
        const result = await carts.execute(cart, { type: "add", ...item }, { context });
        return result.ok ? viewOf(result.value) : result;
      }),
      handle(RemoveItem, async ({ cart, sku }, context) => {
        const result = await carts.execute(cart, { type: "remove", sku }, { context });
        return result.ok ? viewOf(result.value) : result;
      }),
      handle(CheckOut, async ({ cart }, context) => {
        const result = await carts.execute(cart, { type: "check out" }, { context });
        return result.ok ? viewOf(result.value) : result;
      }),
      handle(GetCart, async ({ cart, version }, { signal }) => {
        return viewOf(await carts.load(cart, { version, signal }));
      }),
    ],
  });
  // A second after a shop has died another may go on.
  const made = { from: { cart: cartEvents }, events, store, runtime, owner: "shop", ttl: 1000 };
  const wanted = startReadModel("wanted", {
    ...made,
    initial: 0,
    key: (event) => event.type === "cart.item_added" ? event.data.sku : undefined,
    evolve: (count, event) => event.type === "cart.item_added" ? count + event.data.quantity : count,
  });
  const bills = startProjection("bills", {
    ...made,
    handle: (event) => {
      if (event.type === "cart.checked_out") bill(event.entity, event.data.total, event.position);
    },
  });
  return {
    app,
    history: (cart) => carts.history(cart),
    wanted,
    bills,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([wanted.stop(), bills.stop()]);
      await app[Symbol.asyncDispose]();
    },
  };
}

function viewOf(found: { state: Cart; version: number; position: number }): View {
  const { state, version, position } = found;
  return { ...state, total: totalOf(state), version, position };
}
