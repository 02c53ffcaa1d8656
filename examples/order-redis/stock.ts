import { CatgaError, fail, systemFault, unwrap } from "@catga/catga";
import { type Cause, type Lease, records, type RecordsOptions } from "@catga/catga/durable";
import { catalog } from "./catalog.ts";
import { type Order, OrderCreated } from "./contracts.ts";

/** What is left of a product, and the token of the last lock under which some of it was sold. */
export interface Shelf {
  readonly left: number;
  readonly token: number;
}

/** The stock that all nodes share. */
export interface Stock {
  /** How much is left; `undefined` for what the shop does not sell. */
  left(productId: string): Promise<number | undefined>;
  /**
   * Takes what an order is for and tells of the order, in one write: once for the id of the cause. Answers how much is
   * left. Throws `OUT_OF_STOCK` where it is not enough, and `CONFLICT` when the lock was lost and another had it since.
   */
  take(order: Order, lock: Pick<Lease, "token">, cause: Cause): Promise<number>;
}

/** Opens the stock. */
export function openStock(keeping: RecordsOptions<Shelf>): Stock {
  const shelves = records<Shelf>("stock", keeping);
  return {
    left: async (productId) => (await shelves.get(productId))?.left ?? catalog.get(productId)?.stock,
    take: async (order, { token }, context) => {
      const { productId, quantity } = order;
      const begin = { left: catalog.get(productId)?.stock ?? 0, token: 0 };
      const shelf = await shelves.update(productId, (shelf = begin, tx) => {
        if (token < shelf.token) throw overtaken(productId, token, shelf.token);
        if (shelf.left < quantity) return unwrap(fail("OUT_OF_STOCK", { productId, left: shelf.left }));
        tx.publish(OrderCreated(order));
        return { left: shelf.left - quantity, token };
      }, { context });
      return shelf!.left;
    },
  };
}

/** A process that stood still does not know that its lock is over; the shelf does. */
function overtaken(productId: string, token: number, last: number): CatgaError {
  const message = `Cannot take "${productId}": the lock with token ${token} is over, ${last} came after it`;
  return new CatgaError(systemFault("CONFLICT", message));
}
