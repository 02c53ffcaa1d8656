import { createMediator, type Dispatcher, handle, type Mediator, on } from "@catga/catga";
import { health, type HealthSource, routes } from "@catga/catga/hono";
import type { Runtime } from "@catga/catga/ports";
import { Hono } from "hono";
import { api, CreateOrder, Heard, OrderCreated, OrderShipped } from "./contracts.ts";

/** How many of the latest orders a node remembers to have heard of. */
const KEPT = 10_000;

/** What a node does: it creates orders and hears of them. */
export function createNode(name: string, runtime: Runtime, say: (text: string) => void): Mediator {
  const qos0 = new Set<string>();
  const qos1 = new Set<string>();

  return createMediator({
    runtime,
    handlers: [
      handle(CreateOrder, async ({ productId, quantity }, context) => {
        const orderId = (await runtime.crypto.hash(context.id)).slice(0, 8);
        say(`created order ${orderId}: ${quantity} x ${productId}`);
        await context.publish(OrderCreated({ orderId }));
        await context.publish(OrderShipped({ orderId, trackingNumber: `TRK-${orderId}` }));
        return { orderId, status: "Created", processedBy: name };
      }),
      on(OrderCreated, ({ orderId }) => {
        remember(qos0, orderId);
        say(`[QoS 0] order ${orderId} was created (may be lost)`);
      }),
      on(OrderShipped, ({ orderId }) => {
        remember(qos1, orderId);
        say(`[QoS 1] order ${orderId} was shipped (told until it was heard)`);
      }, { name: "shipping" }),
      handle(Heard, () => ({ node: name, qos0: [...qos0], qos1: [...qos1] })),
    ],
  });
}

/** The doors of a node; its orders are served once it has joined. */
export function createApp(
  node: () => Dispatcher & HealthSource | undefined,
): (request: Request) => Response | Promise<Response> {
  const doors = new Hono().route("/", health(node));
  let all: Hono | undefined;
  return (request) => {
    const joined = node();
    if (joined === undefined) return doors.fetch(request);
    all ??= routes(joined, api, { headers: ["idempotency-key"] }).route("/", doors);
    return all.fetch(request);
  };
}

function remember(orders: Set<string>, orderId: string): void {
  orders.add(orderId);
  if (orders.size > KEPT) orders.delete(orders.values().next().value!);
}
