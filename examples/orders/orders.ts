import { fail, handle, type Module, on } from "@catga/catga";
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

/**
 * Serves the orders of one node. The nodes share no store: each one's book holds what it made itself and what it
 * heard of the others.
 */
export function orders(node: string, book: OrderBook, say: (text: string) => void): Module {
  return [
    handle(CreateOrder, async ({ productId, quantity }, context) => {
      const reserved = await context.send(ReserveStock({ productId, quantity }));
      if (!reserved.ok) return reserved;
      const orderId = `${node}.${crypto.randomUUID().slice(0, 8)}`;
      const order: Order = { orderId, productId, quantity, status: "Created", processedBy: node };
      say(`created ${orderId}: ${quantity} x ${productId}`);
      await context.publish(OrderCreated(order));
      return order;
    }),
    handle(GetOrder, ({ orderId }) => {
      const order = book.get(orderId);
      say(`looked up ${orderId}${order === undefined ? ", which it does not know" : ""}`);
      return order ?? fail("ORDER_NOT_FOUND", { orderId });
    }),
    handle(ListOrders, () => {
      say("listed its latest orders");
      return book.latest(20);
    }),
    handle(WatchOrders, (_, context) => book.watch(context.signal)),
    on(OrderCreated, (order) => {
      book.add(order);
      say(`heard of ${order.orderId}`);
    }),
  ];
}
