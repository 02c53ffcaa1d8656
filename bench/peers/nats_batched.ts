/** What meets in a turn is one JSON array in one message, answered at once. No framework at either end. */
import { createInbox, type Msg } from "@nats-io/nats-core";
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

interface Waiting {
  readonly order: Order;
  readonly resolve: (receipt: Receipt) => void;
}

export async function connect(port: number): Promise<AskFor> {
  const connection = await connectNats(port);
  const inbox = `${createInbox()}.`;
  const sent = new Map<string, readonly Waiting[]>();
  let waiting: Waiting[] = [];
  let last = 0;
  connection.subscribe(`${inbox}*`, {
    callback: (_error, message) => {
      const id = message.subject.slice(inbox.length);
      const batch = sent.get(id)!;
      sent.delete(id);
      const receipts = message.json<Receipt[]>();
      for (let at = 0; at < batch.length; at++) batch[at]!.resolve(receipts[at]!);
    },
  });
  const flush = (): void => {
    const batch = waiting;
    waiting = [];
    const id = String(last++);
    sent.set(id, batch);
    connection.publish(SUBJECT, JSON.stringify(batch.map(({ order }) => order)), { reply: inbox + id });
  };
  return (order) =>
    new Promise((resolve) => {
      waiting.push({ order, resolve });
      if (waiting.length === 1) queueMicrotask(flush);
    });
}

async function answer(message: Msg): Promise<void> {
  message.respond(JSON.stringify(await Promise.all(message.json<Order[]>().map(accept))));
}
