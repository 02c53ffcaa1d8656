/** JetStream as its client library has it, and with acknowledgements of the stream told apart by a number. */
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { createInbox, type NatsConnection } from "@nats-io/nats-core";
import type { Jobs, Place } from "../harness/jobs.ts";
import { connectNats } from "../harness/nats.ts";
import type { Order } from "../harness/order.ts";

const STREAM = "ORDERS";
const SUBJECT = "orders.placed";
const DURABLE = "billing";
/** How many the consumer has ahead; more did not help. */
const AHEAD = 1000;

type Push = (order: Order) => Promise<unknown>;

async function jobs(port: number, pushing: (connection: NatsConnection) => Push): Promise<Jobs> {
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
    take: async (count, _concurrency, hear) => {
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
    },
  };
}

export function clientJobs({ port }: Place): Promise<Jobs> {
  return jobs(port, (connection) => {
    const client = jetstream(connection);
    return (order) => client.publish(SUBJECT, JSON.stringify(order));
  });
}

export function correlatedJobs({ port }: Place): Promise<Jobs> {
  return jobs(port, (connection) => {
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
        connection.publish(SUBJECT, JSON.stringify(order), { reply: inbox + id });
      });
  });
}
