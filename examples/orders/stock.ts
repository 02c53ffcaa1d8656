import { fail, handle, type Module, unwrap } from "@catga/catga";
import { records, type RecordsOptions } from "@catga/catga/durable";
import { OrderCreated, ReserveStock } from "./contracts.ts";

/** What was on the shelves before the first order. */
const SHELVES: ReadonlyMap<string, number> = new Map([
  ["product-123", 1_000_000],
  ["product-456", 1_000_000],
  ["product-999", 3],
]);

/** Serves the stock that all nodes share. */
export function stock(keeping: RecordsOptions<number>, say: (text: string) => void): Module {
  const shelves = records<number>("stock", keeping);
  return handle(ReserveStock, async (order, { correlationId, headers }) => {
    const { orderId, productId, quantity } = order;
    // One write: nothing is taken without its order being told of, and for one order it is taken once.
    const left = await shelves.update(productId, (left = SHELVES.get(productId) ?? 0, tx) => {
      if (left < quantity) return unwrap(fail("OUT_OF_STOCK", { productId, left }));
      tx.publish(OrderCreated(order));
      return left - quantity;
    }, { context: { id: orderId, correlationId, headers } });
    say(`reserved ${quantity} x ${productId}, ${left} left`);
    return { left: left! };
  });
}
