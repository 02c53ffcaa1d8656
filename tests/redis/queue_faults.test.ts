/** What a gateway that lies or fails can do to the queue and the events: nothing is lost, doubled or wrongly said to be done. */

import type { Queue } from "@catga/catga/ports";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Commander } from "../../adapters/redis/commander.ts";
import { redisEvents } from "../../adapters/redis/events.ts";
import { redisQueue } from "../../adapters/redis/queue.ts";
import { faultNames, type GatewayStub, isDone, openThrough, startStub } from "./gateway_stub.ts";
import { failed, openStand, type RedisStand, sleep } from "./support.ts";

let stand: RedisStand;
let stub: GatewayStub;
beforeAll(async () => {
  stand = await openStand();
  stub = await startStub(stand.url);
});
afterAll(async () => {
  await stub[Symbol.asyncDispose]();
  await stand[Symbol.asyncDispose]();
});

let names = 0;

/** A way through the stub, which is good until it is told otherwise. */
function open(): { readonly redis: Commander; readonly name: string } {
  stub.fail(undefined);
  return { redis: openThrough(stub), name: `f${names++}` };
}

/** Asks by another way that is good. */
async function byAnother(name: string, ask: (queue: Queue) => Promise<void>): Promise<void> {
  await using other = stand.open();
  await ask(redisQueue(other, { name }));
}

const items = ["1", "2", "3"].map((id) => ({ id, payload: id }));
const known = ["UNAVAILABLE", "TRANSPORT", "OVERLOADED"];

describe.each(faultNames)("%s", (fault) => {
  test("a push is not said to be kept, and once it is repeated all is there once", async () => {
    const { redis, name } = open();
    await using _redis = redis;
    const queue = redisQueue(redis, { name });
    await queue.subscribe("t", "g");
    await queue.push("t", [{ id: "0", payload: "0" }]);
    stub.fail(fault);
    const code = await failed(queue.push("t", items));
    stub.fail(undefined);
    expect(known).toContain(code as string);
    if (code === "UNAVAILABLE") expect(isDone(fault)).toBe(false);
    await queue.push("t", items);
    const taken = await queue.pull("t", "g", { max: 9, lease: 60_000 });
    expect(taken.map(({ id, payload }) => `${id} ${payload}`)).toEqual(["0 0", "1 1", "2 2", "3 3"]);
  });

  test("an item is not said to be done with, and once that is repeated it is", async () => {
    const { redis, name } = open();
    await using _redis = redis;
    const queue = redisQueue(redis, { name });
    await queue.subscribe("t", "g");
    await queue.push("t", items);
    const [one, two, three] = await queue.pull("t", "g", { max: 9, lease: 60_000 });
    stub.fail(fault);
    const codes = await Promise.all([one!, two!].map((each) => failed(each.ack())));
    stub.fail(undefined);
    for (const code of codes) expect(known).toContain(code as string);
    await Promise.all([one!.ack(), two!.ack()]);
    expect(await queue.backlog("t", "g")).toMatchObject({ items: 1, leased: 1 });
    await three!.ack();
  });

  test("what is taken, given back or held is not said to be so", async () => {
    const { redis, name } = open();
    await using _redis = redis;
    const queue = redisQueue(redis, { name });
    await queue.subscribe("t", "g");
    await queue.push("t", items);
    const [one, two] = await queue.pull("t", "g", { max: 2, lease: 60_000 });
    stub.fail(fault);
    // An even number, so that each answer is one to another question when they are mixed up.
    const codes = await Promise.all([
      failed(one!.retry(0)),
      failed(two!.extend(90_000)),
      failed(queue.pull("t", "g", { max: 1, lease: 50 })),
      failed(queue.backlog("t", "g")),
    ]);
    stub.fail(undefined);
    for (const code of codes) expect(known).toContain(code as string);
    expect((await queue.backlog("t", "g")).items).toBe(3);
    await two!.ack();
    // Whether the rest was done is not known; that nothing is lost is.
    const left = new Set<string>();
    for (let looks = 0; looks < 100 && !left.has("3"); looks++) {
      for (const each of await queue.pull("t", "g", { max: 9, lease: 60_000 })) left.add(each.id);
      await sleep(10);
    }
    expect([left.has("2"), left.has("3")]).toEqual([false, true]);
    if (!left.has("1")) await one!.ack();
  });

  test("who waits learns it, and gets what comes after it", async () => {
    const { redis, name } = open();
    await using _redis = redis;
    const queue = redisQueue(redis, { name, poll: { eager: 5, perMinute: 6000 } });
    const pull = () => queue.pull("t", "g", { max: 1, lease: 60_000, wait: 10_000 });
    await queue.subscribe("t", "g");
    const first = failed(pull());
    await sleep(30);
    stub.fail(fault);
    const code = await first;
    stub.fail(undefined);
    expect(known).toContain(code as string);
    // What was asked for before may fail later.
    const again = (): ReturnType<typeof pull> => pull().catch(again);
    const second = again();
    await byAnother(name, (other) => other.push("t", items.slice(0, 1)));
    expect((await second).map(({ id }) => id)).toEqual(["1"]);
  });

  test("an append is not said to be there, and once it is repeated it is there once", async () => {
    const { redis, name } = open();
    await using _redis = redis;
    const events = redisEvents(redis, { name });
    const given = ["1", "2"].map((id) => ({ id, type: "t", data: "{}" }));
    await events.append("s", [{ id: "0", type: "t", data: "{}" }]);
    stub.fail(fault);
    const codes = await Promise.all([
      failed(events.append("s", given, { expected: 1 })),
      failed(events.read("s")),
      failed(events.head()),
      failed(events.find("s", "0")),
    ]);
    stub.fail(undefined);
    for (const code of codes) expect(known).toContain(code as string);
    const { version, position } = await events.append("s", given, { expected: 1 });
    const read = await events.read("s");
    expect(read.map(({ id }) => id)).toEqual(["0", "1", "2"]);
    expect([version, position]).toEqual([3, read[2]!.position]);
  });
});
