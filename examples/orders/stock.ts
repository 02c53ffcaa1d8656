import { fail, unwrap } from "@catga/catga";
import { type Cause, records, type RecordsOptions } from "@catga/catga/durable";
import { type Order, OrderCreated } from "./contracts.ts";

/** What was on the shelves before the first order. */
const SHELVES: ReadonlyMap<string, number> = new Map([
  ["product-123", 1_000_000],
  ["product-456", 1_000_000],
  ["product-999", 3],
]);

/** What is left of each product, for all nodes that share the store. */
export interface Stock {
  /**
   * Takes from the shelf what an order wants and tells of the order: one write, so neither happens without the other.
   * An order that comes again takes nothing more. Answers what is left; rejects with `OUT_OF_STOCK`.
   */
  reserve(order: Order, cause: Cause): Promise<number>;
}

/** Opens the stock. */
export function openStock(options: RecordsOptions<number>): Stock {
  const shelves = records<number>("stock", options);
  return {
    reserve: async (order, cause) => {
      const { productId, quantity } = order;
      const left = await shelves.update(productId, (left = SHELVES.get(productId) ?? 0, tx) => {
        if (left < quantity) return unwrap(fail("OUT_OF_STOCK", { productId, left }));
        tx.publish(OrderCreated(order));
        return left - quantity;
      }, { context: cause });
      return left!;
    },
  };
}
