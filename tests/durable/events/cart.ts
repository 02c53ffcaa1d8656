import { type Checked, fail, type Fault, type Schema } from "@catga/catga";
import { type Decider, decider, type EventOf, versioned } from "@catga/catga/durable";

/** A schema that checks by hand. */
export function checking<T>(check: (value: unknown) => string | undefined): Schema<T> {
  const validate = (value: unknown): Checked<T> => {
    const message = check(value);
    return message === undefined ? { value: value as T } : { issues: [{ message, path: ["data"] }] };
  };
  return { "~standard": { version: 1, vendor: "test", validate } };
}

const has = (...names: string[]) => (value: unknown): string | undefined => {
  const missing = names.find((name) => (value as Record<string, unknown>)?.[name] === undefined);
  return missing === undefined ? undefined : `${missing} is missing`;
};

export const cartEvents = {
  "cart.added": versioned(checking<{ sku: string; quantity: number }>(has("sku", "quantity")), {
    upcasts: [
      (data) => ({ sku: (data as { product: string }).product }),
      (data) => ({ ...(data as { sku: string }), quantity: 1 }),
    ],
    formerly: ["CartAdded"],
  }),
  "cart.removed": checking<{ sku: string }>(has("sku")),
  "cart.closed": checking<{ at: number }>(has("at")),
};

export type CartEvent = EventOf<typeof cartEvents>;

export interface Cart {
  readonly items: Readonly<Record<string, number>>;
  readonly closed: boolean;
}

export type CartCommand =
  | { readonly type: "add"; readonly sku: string; readonly quantity?: number; readonly times?: number }
  | { readonly type: "remove"; readonly sku: string }
  | { readonly type: "close" }
  | { readonly type: "look" };

export const cart: Decider<
  Cart,
  CartCommand,
  CartEvent,
  Fault<"CLOSED", undefined> | Fault<"NOT_THERE", { sku: string }>
> = decider({
  initial: { items: {}, closed: false },
  decide: (command: CartCommand, state: Cart, { now }) => {
    if (command.type === "look") return [];
    if (state.closed) return fail("CLOSED");
    switch (command.type) {
      case "add": {
        const { sku, quantity = 1, times = 1 } = command;
        return Array.from(
          { length: times },
          () => ({ type: "cart.added" as const, data: { sku, quantity } }),
        );
      }
      case "remove":
        return state.items[command.sku] === undefined
          ? fail("NOT_THERE", { sku: command.sku })
          : { type: "cart.removed", data: { sku: command.sku } };
      case "close":
        return { type: "cart.closed", data: { at: now } };
    }
  },
  evolve: (state: Cart, { type, data }: CartEvent): Cart => {
    switch (type) {
      case "cart.added":
        return {
          ...state,
          items: { ...state.items, [data.sku]: (state.items[data.sku] ?? 0) + data.quantity },
        };
      case "cart.removed": {
        const { [data.sku]: _, ...items } = state.items;
        return { ...state, items };
      }
      case "cart.closed":
        return { ...state, closed: true };
    }
  },
});
