import { CatgaError, type Contract, fail, handle, type Module } from "@catga/catga";
import type { Entry, Store } from "@catga/catga/ports";
import { Charge, type Order, Recall, Refund, Release, Reserve, Ship } from "./contracts.ts";

export type ServiceName = "stock" | "payment" | "shipping";
export const SERVICES: readonly ServiceName[] = ["stock", "payment", "shipping"];

/** What a service has written into its book for an order. */
export interface BookEntry {
  readonly receipt: string;
  /** How much it took, and how often; nothing once it was given back. */
  readonly taken: number;
  readonly times: number;
}

const contracts = {
  stock: [Reserve, Release, (order: Order) => order.sku === "moon" ? "there is none" : undefined],
  payment: [Charge, Refund, (order: Order) => order.amount > 100 ? "the card has only 100" : undefined],
  shipping: [Ship, Recall, (order: Order) => order.sku === "piano" ? "it is too heavy" : undefined],
} as const;

/** A service with a book in the store: one entry an order, changed by compare-and-set. */
export function service(name: ServiceName, store: Store): Module {
  const [take, giveBack, refusal] = contracts[name];
  const change = async (
    order: string,
    next: (before: BookEntry | undefined) => BookEntry,
  ): Promise<BookEntry> => {
    const key = bookKey(name, order);
    for (;;) {
      const entry = await store.get(key);
      const after = next(bookEntry(entry));
      try {
        await store.put(key, JSON.stringify(after), { expected: entry?.revision ?? "absent" });
        return after;
      } catch (thrown) {
        if (!CatgaError.is(thrown) || thrown.code !== "CONFLICT") throw thrown;
      }
    }
  };
  return [
    handle(take as Contract<"command", string, Order, Order, { receipt: string }>, async (order) => {
      const why = refusal(order);
      if (why !== undefined) return fail("REFUSED", { by: name, why }) as never;
      const receipt = `${name}-${order.order}`;
      const { amount } = order;
      return await change(
        order.order,
        (before) => ({ receipt, taken: amount, times: (before?.times ?? 0) + 1 }),
      );
    }),
    handle(giveBack, async ({ receipt }) => {
      const order = receipt.slice(name.length + 1);
      await change(order, (before) => ({ receipt, taken: 0, times: before?.times ?? 0 }));
    }),
  ];
}

export function bookKey(name: ServiceName, order: string): string {
  return `books/${name}/${order}`;
}

export function bookEntry(entry: Entry | undefined): BookEntry | undefined {
  return entry && JSON.parse(entry.value) as BookEntry;
}
