/** JetStream as its client library has it, and with acknowledgements of the stream told apart by a number. */
import { AckPolicy, jetstream, jetstreamManager, type JsMsg } from "@nats-io/jetstream";
import { createInbox, type MsgHdrs, type NatsConnection, type PublishOptions } from "@nats-io/nats-core";
import type { Jobs, Place } from "../harness/jobs.ts";
import { connectNats } from "../harness/nats.ts";
import type { Order } from "../harness/order.ts";

const STREAM = "ORDERS";
const SUBJECT = "orders.placed";
const DURABLE = "billing";
/** How many the consumer has ahead; more did not help. */
const AHEAD = 1000;

type Push = (order: Order) => Promise<unknown>;
type Take = (connection: NatsConnection, ...rest: Parameters<Jobs["take"]>) => Promise<void>;

async function jobs(
  port: number,
  pushing: (connection: NatsConnection) => Push,
  taking: Take = consume,
): Promise<Jobs> {
  const connection = await connectNats(port);
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: STREAM, subjects: [SUBJECT] });
  const ack_policy = AckPolicy.Explicit;
  await manager.consumers.add(STREAM, { durable_name: DURABLE, ack_policy, max_ack_pending: 2 * AHEAD });
  const push = pushing(connection);
  return {
    push,
    pushAll: (orders) => Promise.all(orders.map(push)),
    kept: async () => (await manager.streams.info(STREAM)).state.messages,
    take: (count, concurrency, hear) => taking(connection, count, concurrency, hear),
  };
}

/** An acknowledgement each, which nobody waits for. */
async function consume(...[connection, count, _concurrency, hear]: Parameters<Take>): Promise<void> {
  const consumer = await jetstream(connection).consumers.get(STREAM, DURABLE);
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = count;
  const messages = await consumer.consume({
    max_messages: AHEAD,
    callback: (message) => {
      void hear(message.json<Order>());
      message.ack();
      if (--left === 0) resolve();
    },
  });
  await promise;
  await messages.close();
  await connection.flush();
}

/** So many in hands: the next are taken when the server has said that it has the acknowledgements of these. */
async function consumeConfirmed(...[connection, count, most, hear]: Parameters<Take>): Promise<void> {
  const consumer = await jetstream(connection).consumers.get(STREAM, DURABLE);
  const waiting: JsMsg[] = [];
  let wake = (): void => {};
  const messages = await consumer.consume({
    max_messages: AHEAD,
    callback: (message) => {
      waiting.push(message);
      wake();
    },
  });
  for (let left = count; left > 0;) {
    if (waiting.length === 0) await new Promise<void>((resolve) => wake = resolve);
    const taken = waiting.splice(0, most);
    left -= taken.length;
    for (const message of taken) {
      void hear(message.json<Order>());
      message.ack();
    }
    await connection.flush();
  }
  await messages.close();
}

export function clientJobs({ port }: Place): Promise<Jobs> {
  return jobs(port, (connection) => {
    const client = jetstream(connection);
    return (order) => client.publish(SUBJECT, JSON.stringify(order));
  });
}

export function correlatedJobs({ port }: Place): Promise<Jobs> {
  return jobs(port, (connection) => correlated(connection, () => ({})));
}

/** The same, with what makes a message known again and keeps it from another stream: what a queue has to send. */
export function namedJobs({ port }: Place): Promise<Jobs> {
  const utf8 = new TextEncoder();
  return jobs(port, (connection) =>
    correlated(connection, (id) => {
      const lines = `NATS/1.0\r\nNats-Expected-Stream: ${STREAM}\r\nNats-Msg-Id: order-${id}\r\n\r\n`;
      return { headers: { encode: () => utf8.encode(lines) } as unknown as MsgHdrs };
    }), consumeConfirmed);
}

function correlated(connection: NatsConnection, options: (id: string) => PublishOptions): Push {
  const inbox = `${createInbox()}.`;
  const waiting = new Map<string, { resolve(): void; reject(error: unknown): void }>();
  let last = 0;
  connection.subscribe(`${inbox}*`, {
    callback: (_error, message) => {
      const id = message.subject.slice(inbox.length);
      const waits = waiting.get(id);
      waiting.delete(id);
      const ack = message.json<{ readonly seq?: number }>();
      if (ack.seq === undefined) waits?.reject(new Error(`Not kept: ${message.string()}`));
      else waits?.resolve();
    },
  });
  return (order) =>
    new Promise<void>((resolve, reject) => {
      const id = String(last++);
      waiting.set(id, { resolve, reject });
      connection.publish(SUBJECT, JSON.stringify(order), { ...options(id), reply: inbox + id });
    });
}
