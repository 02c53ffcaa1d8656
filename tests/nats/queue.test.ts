/** The queue of NATS is a queue, by two connections to a real server. */

import { afterAll, beforeAll, describe, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { queueConformance, type QueueUnderTest } from "@catga/catga/testing";
import { natsQueue } from "../../adapters/nats/queue.ts";
import type { NatsQueueOptions } from "../../adapters/nats/queue_options.ts";
import { type NatsServer, startNats } from "./server.ts";
import { openLink } from "./support.ts";

let server: NatsServer;
let clusters = 0;

beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

async function underTest(options: NatsQueueOptions = {}): Promise<QueueUnderTest> {
  const cluster = `t${clusters++}`;
  const links = await Promise.all([openLink(server.ws, { cluster }), openLink(server.ws, { cluster })]);
  const [queue, other] = await Promise.all(
    links.map((link) => natsQueue(link, { bytes: 2 ** 26, ...options })),
  );
  return {
    queue: queue!,
    other: other!,
    pass: (ms) => sleep(ms),
    close: async () => {
      await Promise.all([queue!, other!].map((each) => each[Symbol.asyncDispose]()));
      await Promise.all(links.map((link) => link[Symbol.asyncDispose]()));
    },
  };
}

describe("the queue of NATS is a queue", () => {
  const small = (): Promise<QueueUnderTest> => underTest({ items: 100 });
  for (const { name, run } of queueConformance(() => underTest(), { small })) test(name, run, 60_000);
});
