/** The client library's own request and reply. */
import type { Msg } from "@nats-io/nats-core";
import { connectNats } from "../harness/nats.ts";
import { accept, type AskFor, type Order, type Receipt } from "../harness/order.ts";

const SUBJECT = "orders.place";

export async function serve(port: number): Promise<void> {
  const connection = await connectNats(port);
  connection.subscribe(SUBJECT, {
    callback: (_error, message) => void answer(message),
  });
  await connection.flush();
}

export async function connect(port: number): Promise<AskFor> {
  const connection = await connectNats(port);
  return async (order) => {
    const reply = await connection.request(SUBJECT, JSON.stringify(order), { timeout: 10_000 });
    return reply.json<Receipt>();
  };
}

async function answer(message: Msg): Promise<void> {
  message.respond(JSON.stringify(await accept(message.json<Order>())));
}
