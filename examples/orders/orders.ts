import { type Context, fail, handle, type Module, on } from "@catga/catga";
import { records, type RecordsOptions } from "@catga/catga/durable";
import {
  CreateOrder,
  GetOrder,
  ListOrders,
  type Order,
  OrderCreated,
  ReserveStock,
  WatchOrders,
} from "./contracts.ts";
import type { OrderBook } from "./order_book.ts";

/** What serving orders takes. */
export interface OrdersOptions {
  /** The node that serves. */
  readonly node: string;
  /** What it has heard of. */
  readonly book: OrderBook;
  /** Where the orders of all nodes are kept. */
  readonly keeping: RecordsOptions<Order>;
  readonly say: (text: string) => void;
}

/** Serves the orders. */
export function orders({ node, book, keeping, say }: OrdersOptions): Module {
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
      const orderId = await orderIdOf(context);
      const known = await kept.get(orderId);
      if (known !== undefined) return known;
      const order: Order = { orderId, productId, quantity, status: "Created", processedBy: node };
      const reserved = await context.send(ReserveStock(order));
      if (!reserved.ok) return reserved;
      const created = await keep(order);
      say(`created ${orderId}: ${quantity} x ${productId}`);
      return created;
    }),
    handle(GetOrder, async ({ orderId }) => {
      const order = await kept.get(orderId);
      say(`looked up ${orderId}${order === undefined ? ", which nobody knows" : ""}`);
      return order ?? fail("ORDER_NOT_FOUND", { orderId });
    }),
    handle(ListOrders, () => {
      say("listed its latest orders");
      return book.latest(20);
    }),
    handle(WatchOrders, (_, context) => book.watch(context.signal)),
    on(OrderCreated, async (order) => {
      // The node that took it from the stock may have died before it was kept.
      book.add(await keep(order));
      say(`heard of ${order.orderId}`);
    }, { name: "book" }),
  ];
}
