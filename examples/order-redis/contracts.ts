/** What the shop can be asked and what it tells: all that its nodes and clients share. */
import { command, query, reliableEvent } from "@catga/catga";
import { route } from "@catga/catga/client";
import { localFirst, roundRobin } from "@catga/catga/cluster";
import * as v from "valibot";

const Id = v.pipe(v.string(), v.regex(/^[\w.:-]{1,100}$/));
const Quantity = v.pipe(v.number(), v.integer(), v.minValue(1));
const Cents = v.pipe(v.number(), v.integer(), v.minValue(1));
const Product = v.object({ productId: Id, price: Cents });
const ProductNotFound = v.object({ productId: Id });

const Order = v.object({
  orderId: Id,
  productId: Id,
  quantity: Quantity,
  total: Cents,
  status: v.literal("Created"),
  processedBy: v.string(),
});
export type Order = v.InferOutput<typeof Order>;

/** Done by one node after the other. */
export const CreateOrder = command("shop.orders.create", {
  summary: "Takes from the stock and creates an order, on any node; once for each Idempotency-Key",
  input: v.object({ productId: Id, quantity: Quantity }),
  output: Order,
  errors: {
    OUT_OF_STOCK: v.object({ productId: Id, left: v.number() }),
    PRODUCT_NOT_FOUND: ProductNotFound,
  },
  // A client's `Idempotency-Key` comes first; without one no request is a repetition of another.
  idempotency: { key: () => crypto.randomUUID() },
  route: roundRobin(),
  // Long enough to outlive a node that died with the same request, or with the lock.
  timeout: 25_000,
});

export const GetOrder = query("shop.orders.get", {
  summary: "Reads one order, on any node",
  input: v.object({ orderId: Id }),
  output: Order,
  errors: { ORDER_NOT_FOUND: v.object({ orderId: Id }) },
});

/** Its answer stays on the node that asked, until a price is changed on any node. */
export const GetProduct = query("shop.products.get", {
  summary: "Shows a product",
  input: v.object({ productId: Id }),
  output: Product,
  errors: { PRODUCT_NOT_FOUND: ProductNotFound },
  cache: { ttl: 600_000 },
  route: localFirst(),
});

export const ChangePrice = command("shop.products.price", {
  summary: "Changes a price, and with it what all nodes show",
  input: Product,
  output: Product,
  errors: { PRODUCT_NOT_FOUND: ProductNotFound },
  idempotent: true,
  invalidates: [GetProduct],
  route: localFirst(),
});

/** Changes with each order, so it is asked for each time. */
export const GetStock = query("shop.products.stock", {
  summary: "Counts what is left of a product",
  input: v.object({ productId: Id }),
  output: v.object({ productId: Id, left: v.number() }),
  errors: { PRODUCT_NOT_FOUND: ProductNotFound },
  route: localFirst(),
});

/** Told until one node has kept the order, also where the one that sold it has died. */
export const OrderCreated = reliableEvent("shop.orders.created", {
  data: Order,
  key: ({ orderId }) => orderId,
});

const statuses = { PRODUCT_NOT_FOUND: 404 };

/** Where they are found over HTTP. */
export const api = [
  route("POST /orders", CreateOrder, { status: 201, statuses }),
  route("GET /orders/:orderId", GetOrder, { statuses: { ORDER_NOT_FOUND: 404 } }),
  route("GET /products/:productId", GetProduct, { statuses }),
  route("GET /products/:productId/stock", GetStock, { statuses }),
  route("PUT /products/:productId/price", ChangePrice, { statuses }),
];
