/** The client library's own publish of a JSON event. */
import type { Events } from "../harness/events.ts";
import { connectNats } from "../harness/nats.ts";
import type { Order } from "../harness/order.ts";

const SUBJECT = "orders.placed";

async function connect(port: number): Promise<(orders: readonly Order[]) => void> {
  const connection = await connectNats(port);
  return (orders) => {
    for (const order of orders) connection.publish(SUBJECT, JSON.stringify(order));
  };
}

export const heard: Events = {
  hear: async (port, hear) => {
    const connection = await connectNats(port);
    connection.subscribe(SUBJECT, { callback: (_error, message) => hear(message.json<Order>()) });
    await connection.flush();
  },
  connect,
};

export const unheard: Events = { connect };
