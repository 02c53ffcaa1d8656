/** What the nodes of the demonstration can be asked, and what they tell each other. */
import { command, event, query, reliableEvent } from "@catga/catga";
import { localFirst, roundRobin } from "@catga/catga/cluster";
import { route } from "@catga/catga/client";
import * as v from "valibot";

const OrderId = v.pipe(v.string(), v.regex(/^[\w-]{1,100}$/));
const Order = v.object({
  orderId: OrderId,
  status: v.literal("Created"),
  processedBy: v.string(),
});

/** Done by one node after the other. */
export const CreateOrder = command("demo.orders.create", {
  summary: "Creates an order on any node; once for each Idempotency-Key",
  input: v.object({
    productId: v.pipe(v.string(), v.regex(/^[\w.:-]{1,100}$/)),
    quantity: v.pipe(v.number(), v.integer(), v.minValue(1)),
  }),
  output: Order,
  // A client's `Idempotency-Key` comes first; without one no request is a repetition of another.
  idempotency: { key: () => crypto.randomUUID() },
  route: roundRobin(),
});

/** QoS 0: told to every node that is there, once, and to nobody else. */
export const OrderCreated = event("demo.orders.created", {
  data: v.object({ orderId: OrderId }),
});

/** QoS 1: told to every node until it has heard of it, also to one that was away. */
export const OrderShipped = reliableEvent("demo.orders.shipped", {
  data: v.object({ orderId: OrderId, trackingNumber: v.string() }),
  delivery: { to: "nodes" },
});

/** The orders that one node has heard of, by quality of service. */
export const Heard = query("demo.heard", {
  summary: "What the node that is asked has heard of since it began",
  input: v.object({}),
  output: v.object({ node: v.string(), qos0: v.array(OrderId), qos1: v.array(OrderId) }),
  route: localFirst(),
});

/** Where they are found over HTTP. */
export const api = [
  route("POST /orders", CreateOrder, { status: 201 }),
  route("GET /heard", Heard),
];
