import { type Context, fail, handle, type Module, on } from "@catga/catga";
import { type Locks, records, type RecordsOptions } from "@catga/catga/durable";
import { CreateOrder, GetOrder, type Order, OrderCreated } from "./contracts.ts";
import { priceOf, type Prices } from "./products.ts";
import type { Stock } from "./stock.ts";

/** What serving orders takes. */
export interface OrdersOptions {
  /** The node that serves. */
  readonly node: string;
  /** Where the orders of all nodes are kept. */
  readonly keeping: RecordsOptions<Order>;
  /** One for the stock of each product. */
  readonly locks: Locks;
  readonly prices: Prices;
  readonly stock: Stock;
  readonly say: (text: string) => void;
}

/** Serves the orders. */
export function orders({ node, keeping, locks, prices, stock, say }: OrdersOptions): Module {
  const kept = records<Order>("orders", keeping);

  /** Keeps an order, unless it is kept already; answers the one that is. */
  async function keep(order: Order): Promise<Order> {
    return await kept.update(order.orderId, (known = order) => known) ?? order;
  }

  /** The same for a request that comes again, whichever node has it then. */
  async function orderIdOf({ id, headers, body }: Context): Promise<string> {
    const request = JSON.stringify([headers["idempotency-key"] ?? id, body]);
    return `order-${(await keeping.runtime.crypto.hash(request)).slice(0, 12)}`;
  }

  return [
    handle(CreateOrder, async ({ productId, quantity }, context) => {
      const { correlationId, headers, signal } = context;
      const orderId = await orderIdOf(context);
      // One node sells a product at a time; should one lose the lock unawares, its shelf refuses it.
      const order = await locks.run(`stock/${productId}`, async (lock) => {
        const known = await kept.get(orderId);
        if (known !== undefined) return known;
        // What is paid is never out of a cache.
        const price = await priceOf(prices, productId);
        if (price === undefined) return undefined;
        const total = price * quantity;
        const order: Order = { orderId, productId, quantity, total, status: "Created", processedBy: node };
        lock.assertHeld();
        const left = await stock.take(order, lock, { id: orderId, correlationId, headers });
        say(`sold ${quantity} x ${productId} under lock ${lock.token}, ${left} left`);
        return order;
      }, { timeout: 20_000, signal });
      return order === undefined ? fail("PRODUCT_NOT_FOUND", { productId }) : await keep(order);
    }),
    handle(GetOrder, async ({ orderId }) => {
      return await kept.get(orderId) ?? fail("ORDER_NOT_FOUND", { orderId });
    }),
    // The node that sold it may have died before it was kept.
    on(OrderCreated, async (order) => {
      await keep(order);
    }, { name: "orders" }),
  ];
}
