/** The queue in Redis, as every queue is promised to be: by two commanders through the gateway. */

import { afterAll, beforeAll, describe, test } from "bun:test";
import { queueConformance, type QueueUnderTest } from "../../src/testing/queue_conformance.ts";
import { redisQueue, type RedisQueueOptions } from "../../adapters/redis/queue.ts";
import { type Commander, createCommander } from "../../adapters/redis/commander.ts";
import { restWire } from "../../adapters/redis/rest.ts";
import { type ToldClock, toldClock } from "./queue_clock.ts";
import { openStand, quiet, type RedisStand, sleep, TOKEN } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

let names = 0;

interface Trial extends Required<QueueUnderTest> {
  readonly clock: ToldClock;
  readonly redis: Commander;
  readonly name: string;
}

/** Two ways to one queue, on a clock that is told to go on. */
function open(options: RedisQueueOptions = {}): Promise<Trial> {
  const clock = toldClock();
  const { runtime } = clock;
  const commander = (): Commander =>
    createCommander(clock.wire(restWire({ url: stand.url, token: TOKEN }, quiet())), {
      runtime,
      timeout: 60_000,
    });
  const [one, two] = [commander(), commander()];
  const name = `n${names++}`;
  return Promise.resolve({
    clock,
    redis: one,
    name,
    queue: redisQueue(one, { name, ...options }),
    other: redisQueue(two, { name, ...options }),
    pass: clock.pass,
    close: async () => void await Promise.all([one, two].map((each) => each[Symbol.asyncDispose]())),
  });
}

/** Whoever waits for months asks too often for a test. */
const TOO_LONG = "leases and waits of more than 24.8 days";

describe("the queue in Redis is a queue", () => {
  const small = (): Promise<Trial> => open({ items: 100 });
  const rare = { poll: { perMinute: 0.01 } };
  const checks = queueConformance(() => open(), { virtual: true, small });
  const rarely = queueConformance(() => open(rare), { virtual: true, small });
  for (const [at, { name, run }] of checks.entries()) {
    test(name, name.startsWith(TOO_LONG) ? rarely[at]!.run : run, 60_000);
  }
});

describe("the queue in Redis by the server's own clock", () => {
  const checks = queueConformance(() => {
    const [one, two] = [stand.open(), stand.open()];
    const name = `n${names++}`;
    return Promise.resolve({
      queue: redisQueue(one, { name }),
      other: redisQueue(two, { name }),
      pass: sleep,
      close: async () => void await Promise.all([one, two].map((each) => each[Symbol.asyncDispose]())),
    });
  }, { lease: 500 });
  const some =
    /in one pair of hands|comes again after its delay|over and then|hears of a delay|comes to one$/;
  for (const { name, run } of checks) if (some.test(name)) test(name, run, 60_000);
});
