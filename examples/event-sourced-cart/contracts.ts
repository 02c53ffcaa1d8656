/** What the shop can be asked. */
import { command, query } from "@catga/catga";
import * as v from "valibot";

const CartId = v.pipe(v.string(), v.regex(/^[\w-]{1,40}$/));
const Sku = v.string();
const View = v.object({
  lines: v.record(v.string(), v.object({ quantity: v.number(), price: v.number() })),
  checkedOut: v.boolean(),
  total: v.number(),
  version: v.number(),
  position: v.number(),
});
export type View = v.InferOutput<typeof View>;

/** What a cart can refuse. */
const errors = {
  CHECKED_OUT: v.undefined(),
  EMPTY: v.undefined(),
  NOT_IN_CART: v.object({ sku: Sku }),
};

export const AddItem = command("cart.add", {
  input: v.object({ cart: CartId, sku: Sku, quantity: v.number(), price: v.number() }),
  output: View,
  errors,
});

export const RemoveItem = command("cart.remove", {
  input: v.object({ cart: CartId, sku: Sku }),
  output: View,
  errors,
});

export const CheckOut = command("cart.check-out", {
  input: v.object({ cart: CartId }),
  output: View,
  errors,
});

/** A cart as it is, or as it was at a version. */
export const GetCart = query("cart.get", {
  input: v.object({ cart: CartId, version: v.optional(v.number()) }),
  output: View,
});
