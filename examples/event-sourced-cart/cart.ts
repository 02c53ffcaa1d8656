/** How a cart behaves: its events, what commands let happen, and what it becomes. No store, no time, no I/O. */
import { fail } from "@catga/catga";
import { decider, type EventOf, versioned } from "@catga/catga/durable";
import * as v from "valibot";

const Sku = v.pipe(v.string(), v.regex(/^[\w-]{1,40}$/));
const Quantity = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(99));

export const cartEvents = {
  "cart.item_added": versioned(v.object({ sku: Sku, quantity: Quantity, price: v.number() }), {
    // The first ones had no quantity: they were one each.
    upcasts: [(data) => ({ quantity: 1, ...(data as object) })],
  }),
  "cart.item_removed": v.object({ sku: Sku }),
  "cart.checked_out": v.object({ total: v.number() }),
};
export type CartEvent = EventOf<typeof cartEvents>;

export interface Line {
  readonly quantity: number;
  readonly price: number;
}

export interface Cart {
  readonly lines: Readonly<Record<string, Line>>;
  readonly checkedOut: boolean;
}

export type CartCommand =
  | { readonly type: "add"; readonly sku: string; readonly quantity: number; readonly price: number }
  | { readonly type: "remove"; readonly sku: string }
  | { readonly type: "check out" };

export function totalOf({ lines }: Cart): number {
  return Object.values(lines).reduce((sum, { quantity, price }) => sum + quantity * price, 0);
}

const initial: Cart = { lines: {}, checkedOut: false };

export const cart = decider({
  initial,
  decide: (command: CartCommand, state: Cart) => {
    if (state.checkedOut) return fail("CHECKED_OUT");
    switch (command.type) {
      case "add": {
        const { type: _, ...item } = command;
        return { type: "cart.item_added", data: item };
      }
      case "remove":
        return command.sku in state.lines
          ? { type: "cart.item_removed", data: { sku: command.sku } }
          : fail("NOT_IN_CART", { sku: command.sku });
      case "check out":
        return totalOf(state) === 0
          ? fail("EMPTY")
          : { type: "cart.checked_out", data: { total: totalOf(state) } };
    }
  },
  evolve: (state: Cart, { type, data }: CartEvent): Cart => {
    switch (type) {
      case "cart.item_added": {
        const quantity = (state.lines[data.sku]?.quantity ?? 0) + data.quantity;
        return { ...state, lines: { ...state.lines, [data.sku]: { quantity, price: data.price } } };
      }
      case "cart.item_removed": {
        const { [data.sku]: _, ...lines } = state.lines;
        return { ...state, lines };
      }
      case "cart.checked_out":
        return { ...state, checkedOut: true };
    }
  },
});
