/** The queue of NATS is a queue, by two connections to a real server. */

import { afterAll, beforeAll, describe } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { queueConformance, type QueueUnderTest } from "@catga/catga/testing";
import { modelChecks, ModelRun } from "../../src/testing/queue_model_checks.ts";
import { QueueTrial } from "../../src/testing/queue_trial.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { natsQueue } from "../../adapters/nats/queue.ts";
import type { NatsQueueOptions } from "../../adapters/nats/queue_options.ts";
import { beside } from "../support/beside.ts";
import { type NatsServer, startNats } from "./server.ts";
import { openLink } from "./support.ts";

const test = beside(12);
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
  // The runs of the model last longest: each is a test of its own, and begins first.
  for (const seed of [1, 2, 3, 4]) {
    test(`random operations come out as those of a plain list, ${seed}`, async () => {
      const subject = await underTest();
      const trial = new QueueTrial(subject, "", 1000);
      await new ModelRun(trial, "m", seededRandom(seed)).run()
        .finally(() => trial.close())
        .finally(() => subject.close?.());
    });
  }
  const small = (): Promise<QueueUnderTest> => underTest({ items: 100 });
  for (const { name, run } of queueConformance(() => underTest(), { small })) {
    if (modelChecks[name] === undefined) test(name, run);
  }
});
