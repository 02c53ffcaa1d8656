/**
 * The limit of calls that are frames: each a JSON text with a number, those of a turn in one message, answers likewise.
 * No framework at either end.
 */
import { createInbox, type NatsConnection } from "@nats-io/nats-core";
import { connectNats } from "../harness/nats.ts";
import { accept, type AskFor, type Order, type Receipt } from "../harness/order.ts";

const SUBJECT = "orders.place";

export async function serve(port: number): Promise<void> {
  const connection = await connectNats(port);
  const ways = new Map<string, (frame: string) => void>();
  connection.subscribe(SUBJECT, {
    callback: (_error, message) => {
      const inbox = message.reply!;
      let answer = ways.get(inbox);
      if (answer === undefined) ways.set(inbox, answer = together(connection, inbox));
      for (const frame of message.string().split("\n")) void answered(frame, answer);
    },
  });
  await connection.flush();
}

export async function connect(port: number): Promise<AskFor> {
  const connection = await connectNats(port);
  const inbox = createInbox();
  const waiting = new Map<string, (receipt: Receipt) => void>();
  let last = 0;
  connection.subscribe(inbox, {
    callback: (_error, message) => {
      for (const frame of message.string().split("\n")) {
        const [id, body] = read(frame);
        const resolve = waiting.get(id);
        waiting.delete(id);
        resolve?.(body as Receipt);
      }
    },
  });
  const send = together(connection, SUBJECT, inbox);
  return (order) =>
    new Promise((resolve) => {
      const id = String(last++);
      waiting.set(id, resolve);
      send(`${id} ${JSON.stringify(order)}`);
    });
}

async function answered(frame: string, answer: (frame: string) => void): Promise<void> {
  const [id, body] = read(frame);
  answer(`${id} ${JSON.stringify(await accept(body as Order))}`);
}

function read(frame: string): [id: string, body: unknown] {
  const at = frame.indexOf(" ");
  return [frame.slice(0, at), JSON.parse(frame.slice(at + 1))];
}

/** Publishes what comes in a turn as one message. */
function together(connection: NatsConnection, subject: string, reply?: string): (frame: string) => void {
  let frames: string[] = [];
  const flush = (): void => {
    const text = frames.join("\n");
    frames = [];
    connection.publish(subject, text, reply === undefined ? {} : { reply });
  };
  return (frame) => {
    if (frames.push(frame) === 1) queueMicrotask(flush);
  };
}
