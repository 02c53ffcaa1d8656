/** The limit of one message a request: one inbox for all replies, told apart by a number in its last token. */
import { createInbox } from "@nats-io/nats-core";
import { connectNats } from "../harness/nats.ts";
import type { AskFor, Receipt } from "../harness/order.ts";
export { serve } from "./nats_request.ts";

const SUBJECT = "orders.place";

export async function connect(port: number): Promise<AskFor> {
  const connection = await connectNats(port);
  const inbox = `${createInbox()}.`;
  const waiting = new Map<string, (receipt: Receipt) => void>();
  let last = 0;
  connection.subscribe(`${inbox}*`, {
    callback: (_error, message) => {
      const id = message.subject.slice(inbox.length);
      const resolve = waiting.get(id);
      waiting.delete(id);
      resolve?.(message.json<Receipt>());
    },
  });
  return (order) =>
    new Promise((resolve) => {
      const id = String(last++);
      waiting.set(id, resolve);
      connection.publish(SUBJECT, JSON.stringify(order), { reply: inbox + id });
    });
}
