/** The event store in Redis, as every one is promised to be: by two commanders through the gateway. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { EventStore } from "@catga/catga/ports";
import { eventStoreConformance } from "../../src/testing/event_store_conformance.ts";
import { createCommander } from "../../adapters/redis/commander.ts";
import { redisEvents } from "../../adapters/redis/events.ts";
import type { Wire } from "../../adapters/redis/wire.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { failed, openStand, type RedisStand, sleep } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

let names = 0;

/** Two ways to one store, and what ends them. */
function open(name = `n${names++}`): { events: EventStore; other: EventStore; close(): Promise<void> } {
  const [one, two] = [stand.open(), stand.open()];
  return {
    events: redisEvents(one, { name }),
    other: redisEvents(two, { name }),
    close: async () => void await Promise.all([one, two].map((each) => each[Symbol.asyncDispose]())),
  };
}

describe("the event store in Redis is an event store", () => {
  const checks = eventStoreConformance(() => Promise.resolve({ ...open(), pass: sleep }), { wait: 200 });
  for (const { name, run } of checks) test(name, run, 30_000);
});

describe("the event store in Redis", () => {
  test("loses no event, and not the first one, when 100 write at once (C14)", async () => {
    const { events, other, close } = open();
    const all = Array.from({ length: 100 }, (_, at) => ({ id: `${at}`, type: "t", data: "{}" }));
    const writes = all.map((event, at) => (at % 2 === 0 ? events : other).append("s", [event]));
    const versions = (await Promise.all(writes)).map(({ version }) => version);
    expect(versions.toSorted((a, b) => a - b)).toEqual(all.map((_, at) => at + 1));
    const read = await other.read("s");
    expect(read.map(({ id }) => id).toSorted()).toEqual(all.map(({ id }) => id).toSorted());
    expect(read.map(({ id }) => versions[Number(id)])).toEqual(read.map(({ version }) => version));
    expect((await events.readAll()).map(({ id }) => id)).toEqual(read.map(({ id }) => id));
    await close();
  });

  test("of 100 who expect the same version one wins, in one try each (C14)", async () => {
    const { events, other, close } = open();
    const tries = await Promise.all(
      Array.from(
        { length: 100 },
        (_, at) =>
          failed(
            (at % 2 === 0 ? events : other).append("s", [{ id: `${at}`, type: "t", data: "" }], {
              expected: 0,
            }),
          ),
      ),
    );
    expect(tries.filter((code) => code === "ok").length).toBe(1);
    expect(tries.filter((code) => code === "CONFLICT").length).toBe(99);
    await close();
  });

  test("reads hundreds of events at once, and fewer where they are large", async () => {
    const { events, close } = open();
    const small = Array.from({ length: 500 }, (_, at) => ({ id: `${at}`, type: "t", data: "{}" }));
    await events.append("small", small);
    expect((await events.read("small")).map(({ id }) => id)).toEqual(small.map(({ id }) => id));
    expect((await events.read("small", { backward: true, limit: 400 })).at(-1)?.id).toBe("100");
    const large = Array.from(
      { length: 10 },
      (_, at) => ({ id: `${at}`, type: "t", data: "x".repeat(250_000) }),
    );
    await events.append("large", large);
    for (
      const read of [
        (from: number) => events.read("large", { from: from + 1 }),
        async (from: number) => {
          const [before] = await events.read("large", { from: Math.max(from, 1), limit: 1 });
          return await events.readAll({ after: before!.position - (from === 0 ? 1 : 0) });
        },
      ]
    ) {
      const ids: string[] = [];
      let parts = 0;
      for (let part = await read(0); part.length > 0; parts++) {
        ids.push(...part.map(({ id }) => id));
        part = await read(ids.length);
      }
      expect(ids).toEqual(large.map(({ id }) => id));
      expect(parts).toBeGreaterThan(1);
    }
    await close();
  });

  test("positions grow also after all was lost", async () => {
    const { events, close } = open();
    const event = { id: "1", type: "t", data: "" };
    const first = await events.append("s", [event]);
    await using redis = stand.open();
    await redis.send(["FLUSHALL"]);
    const second = await events.append("s", [event]);
    expect(second.version).toBe(1);
    expect(second.position).toBeGreaterThan(first.position);
    await close();
  });

  test("stores of different names are apart", async () => {
    const [one, two] = [open("a:b"), open("a}{b")];
    await one.events.append("s", [{ id: "1", type: "t", data: "" }]);
    expect(await two.events.readAll()).toEqual([]);
    expect(await two.events.head()).toBe(0);
    for (const name of ["", "n".repeat(65), "\ud800"]) expect(() => open(name)).toThrow(RangeError);
    await one.close();
    await two.close();
  });
});

describe("waiting for events in Redis", () => {
  /** A Redis whose head is given. */
  function idle(head: () => number): Wire {
    return {
      request: (commands) =>
        Promise.resolve(commands.map((words) => ({ reply: [words.at(-1)!, `${head()}`] }))),
    };
  }

  test("costs at most 6 commands a minute when nothing happens, for however many who wait", async () => {
    const runtime = fakeRuntime();
    await using redis = createCommander(idle(() => 5), { runtime });
    const events = redisEvents(redis);
    let open = true;
    const follow = async (): Promise<void> => {
      while (open) await events.changed(5, { wait: 5000 });
    };
    const followers = [follow(), follow(), follow()];
    await runtime.advance(120_000);
    const before = redis.sent;
    await runtime.advance(600_000);
    expect(redis.sent - before).toBeLessThanOrEqual(60);
    expect(redis.sent - before).toBeGreaterThanOrEqual(50);
    open = false;
    await runtime.advance(10_000);
    await Promise.all(followers);
  });

  test("hears within a budget of what others do, and at once of what this process does", async () => {
    const runtime = fakeRuntime();
    let head = 5;
    await using redis = createCommander(idle(() => head), { runtime });
    const events = redisEvents(redis);
    const waits = (): Promise<number> =>
      events.changed(head, { wait: 600_000 }).then(() => runtime.clock.mono());
    const first = waits();
    await runtime.advance(120_000);
    head++;
    const began = runtime.clock.mono();
    await runtime.advance(12_000);
    expect(await first - began).toBeLessThanOrEqual(10_000);
    const second = waits();
    await runtime.advance(120_000);
    head++;
    const read = runtime.clock.mono();
    await events.head();
    expect(await second).toBe(read);
  });

  test("a failure ends the waits with its code", async () => {
    const runtime = fakeRuntime();
    await using redis = createCommander({ request: () => Promise.resolve([{ error: "LOADING" }]) }, {
      runtime,
    });
    const wait = failed(redisEvents(redis).changed(0, { wait: 1000 }));
    await runtime.advance(10);
    expect(await wait).toBe("UNAVAILABLE");
  });
});
