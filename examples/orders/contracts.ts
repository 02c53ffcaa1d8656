/** What the order service can be asked and what it tells: all that its modules, nodes and clients share. */
import { command, event, query, stream } from "@catga/catga";
import * as v from "valibot";
import { here, keeper, named } from "./routing.ts";

const Id = v.pipe(v.string(), v.regex(/^[\w.:-]{1,100}$/));
const Quantity = v.pipe(v.number(), v.integer(), v.minValue(1));
const Lines = v.object({ productId: Id, quantity: Quantity });
const OutOfStock = v.object({ productId: Id, left: v.number() });

const Order = v.object({
  orderId: Id,
  productId: Id,
  quantity: Quantity,
  status: v.literal("Created"),
  processedBy: v.string(),
});
export type Order = v.InferOutput<typeof Order>;

export const CreateOrder = command("orders.create", {
  summary: "Reserves the stock and creates an order, on any node",
  input: Lines,
  output: Order,
  errors: { OUT_OF_STOCK: OutOfStock },
  timeout: 10_000,
});

/** An order's id begins with the name of the node that made it, and that one is asked for it. */
export const GetOrder = query("orders.get", {
  summary: "Reads one order",
  input: v.object({ orderId: Id }),
  output: Order,
  errors: { ORDER_NOT_FOUND: v.object({ orderId: Id }) },
  key: ({ orderId }) => orderId.slice(0, orderId.lastIndexOf(".")),
  route: named,
  timeout: 5000,
});

export const ListOrders = query("orders.list", {
  summary: "Lists the latest orders that the node which is asked has heard of",
  input: v.object({}),
  output: v.array(Order),
  route: here,
  timeout: 5000,
});

export const WatchOrders = stream("orders.watch", {
  summary: "Streams orders as the node which is asked hears of them",
  input: v.object({}),
  output: Order,
  route: here,
});

/** Told to every node; it may be lost. */
export const OrderCreated = event("orders.created", { data: Order });

/** All reservations of a product go to one node, so they cannot contradict each other while nodes do not change. */
export const ReserveStock = command("stock.reserve", {
  input: Lines,
  output: v.object({ left: v.number() }),
  errors: { OUT_OF_STOCK: OutOfStock },
  key: ({ productId }) => productId,
  route: keeper,
  timeout: 5000,
});
