import { route } from "@catga/catga/client";
import { CreateOrder, GetOrder, ListOrders, WatchOrders } from "./contracts.ts";

/** Where the contracts are found over HTTP: what a node serves, and what a typed client is made of. */
export const api = [
  route("POST /orders", CreateOrder, { status: 201 }),
  route("GET /orders", ListOrders),
  route("GET /orders/watch", WatchOrders),
  route("GET /orders/:orderId", GetOrder, { statuses: { ORDER_NOT_FOUND: 404 } }),
];
