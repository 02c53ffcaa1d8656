/** What the order service can be asked and what it tells: all that its modules, nodes and clients share. */
import { command, query, reliableEvent, stream } from "@catga/catga";
import * as v from "valibot";
import { here, keeper } from "./routing.ts";

const Id = v.pipe(v.string(), v.regex(/^[\w.:-]{1,100}$/));
const Quantity = v.pipe(v.number(), v.integer(), v.minValue(1));
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
  summary: "Takes from the stock and creates an order, on any node; once for each Idempotency-Key",
  input: v.object({ productId: Id, quantity: Quantity }),
  output: Order,
  errors: { OUT_OF_STOCK: OutOfStock },
  // A client's `Idempotency-Key` comes first; without one no request is a repetition of another.
  idempotency: { key: () => crypto.randomUUID() },
  // Long enough to outlive a node that died with the same request.
  timeout: 20_000,
});

export const GetOrder = query("orders.get", {
  summary: "Reads one order, on any node",
  input: v.object({ orderId: Id }),
  output: Order,
  errors: { ORDER_NOT_FOUND: v.object({ orderId: Id }) },
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

/** Told to every node until each has heard of it. */
export const OrderCreated = reliableEvent("orders.created", {
  data: Order,
  key: ({ orderId }) => orderId,
  delivery: { to: "nodes" },
});

/** Any node may do it. That all of a product go to one spares them from getting into each other's way. */
export const ReserveStock = command("stock.reserve", {
  input: Order,
  output: v.object({ left: v.number() }),
  errors: { OUT_OF_STOCK: OutOfStock },
  // Once for each order.
  idempotent: true,
  key: ({ productId }) => productId,
  route: keeper,
  timeout: 15_000,
});
