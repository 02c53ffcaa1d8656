import { fail, handle, type Module } from "@catga/catga";
import { ReserveStock } from "./contracts.ts";

/**
 * What is on the shelves. Every node begins with all of it in memory and `keeper` picks the one that counts for a
 * product; when that node goes, the next one counts from the beginning. A shared store will mend that.
 */
const SHELVES: Readonly<Record<string, number>> = {
  "product-123": 1_000_000,
  "product-456": 1_000_000,
  "product-999": 3,
};

/** Serves the stock. */
export function stock(say: (text: string) => void): Module {
  const left = new Map(Object.entries(SHELVES));
  return handle(ReserveStock, ({ productId, quantity }) => {
    const there = left.get(productId) ?? 0;
    if (there < quantity) {
      say(`reserved nothing: ${quantity} x ${productId} asked for, ${there} left`);
      return fail("OUT_OF_STOCK", { productId, left: there });
    }
    left.set(productId, there - quantity);
    say(`reserved ${quantity} x ${productId}, ${there - quantity} left`);
    return { left: there - quantity };
  });
}
