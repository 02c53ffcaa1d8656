/** The queue in Redis, as every queue is promised to be: by two commanders through the gateway. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Queue } from "@catga/catga/ports";
import { queueConformance, type QueueUnderTest } from "../../src/testing/queue_conformance.ts";
import { redisQueue, type RedisQueueOptions } from "../../adapters/redis/queue.ts";
import { failed, openStand, type RedisStand, sleep } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

let names = 0;

function open(options: RedisQueueOptions = {}): Promise<Required<QueueUnderTest>> {
  const [one, two] = [stand.open(), stand.open()];
  const own = { name: `n${names++}`, ...options };
  return Promise.resolve({
    queue: redisQueue(one, own),
    other: redisQueue(two, own),
    pass: sleep,
    close: async () => void await Promise.all([one, two].map((each) => each[Symbol.asyncDispose]())),
  });
}

describe("the queue in Redis is a queue", () => {
  const checks = queueConformance(() => open(), { lease: 500, small: () => open({ items: 100 }) });
  for (const { name, run } of checks) test(name, run, 60_000);
});
