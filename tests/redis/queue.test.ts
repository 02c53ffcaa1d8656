/** The queue in Redis, as every queue is promised to be: by two commanders through the gateway. */

import type { Delivery } from "@catga/catga/ports";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { queueConformance, type QueueUnderTest } from "../../src/testing/queue_conformance.ts";
import { redisQueue, type RedisQueueOptions } from "../../adapters/redis/queue.ts";
import { type Commander, createCommander } from "../../adapters/redis/commander.ts";
import { TAKE } from "../../adapters/redis/queue_scripts_take.ts";
import { restWire } from "../../adapters/redis/rest.ts";
import { digestOf } from "../../adapters/redis/scripts_digest.ts";
import { type ToldClock, toldClock } from "./queue_clock.ts";
import { failed, openStand, quiet, type RedisStand, sleep, TOKEN } from "./support.ts";

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
  // The checks' leases last a second.
  const soon = { poll: { perMinute: 240 } };
  const rare = { poll: { perMinute: 0.01 } };
  const checks = queueConformance(() => open(soon), { virtual: true, small });
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

describe("the queue in Redis", () => {
  const items = (...ids: string[]) => ids.map((id) => ({ id, payload: id }));
  const many = (count: number, from = 0) =>
    items(...Array.from({ length: count }, (_, at) => `${from + at}`));
  const hour = 3_600_000;

  async function begin(options: RedisQueueOptions = {}, ...groups: string[]): Promise<Trial> {
    const trial = await open(options);
    for (const group of ["a", ...groups]) await trial.queue.subscribe("t", group);
    return trial;
  }

  const pull = async (trial: Trial, max = 100, group = "a"): Promise<string[]> =>
    (await trial.other.pull("t", group, { max, lease: hour })).map(({ id }) => id);

  /** What is kept of a topic: how many items the stream has, and the names of all keys. */
  async function kept({ redis, name }: Trial): Promise<{ stream: number; keys: string[] }> {
    const tag = `{${name}:q}:t`;
    const stream = Number(await redis.send(["XLEN", `${tag}:s`]));
    const keys = (await redis.send(["KEYS", "*"]) as string[]).filter((key) => key.startsWith(tag));
    return { stream, keys: keys.map((key) => key.slice(tag.length)).toSorted() };
  }

  test("hands out what has been due for longest first, be it new, given back or delayed", async () => {
    const trial = await begin();
    await trial.queue.push("t", items("1", "2"));
    const [first] = await trial.queue.pull("t", "a", { max: 1, lease: 1000 });
    await trial.pass(1);
    await first!.retry(0);
    await trial.pass(1);
    await trial.queue.push("t", items("3"));
    expect(await pull(trial, 2)).toEqual(["2", "1"]);
    await trial.queue.push("t", [{ id: "delayed", payload: "", delay: 100 }]);
    await trial.pass(50);
    await trial.queue.push("t", items("before"));
    await trial.pass(100);
    await trial.queue.push("t", items("after"));
    expect(await pull(trial, 9)).toEqual(["3", "before", "delayed", "after"]);
    await trial.close();
  });

  test("knows what is held again, whatever else is asked for in the same turn", async () => {
    const trial = await begin();
    await trial.queue.push("t", items("1", "2", "3"));
    const [one, two, three] = await trial.queue.pull("t", "a", { max: 3, lease: 1000 });
    const asked = [one!.extend(2000), one!.extend(3000), one!.ack(), two!.extend(2000), two!.retry(0)];
    const late = failed(three!.retry(0));
    await Promise.all([...asked, late, three!.ack().catch(() => {})]);
    expect(await late).toBe("ok");
    expect(await pull(trial)).toEqual(["2", "3"]);
    await trial.close();
  });

  test("an acknowledgement comes before what is asked for after it", async () => {
    const trial = await begin();
    await trial.queue.push("t", items("1", "2"));
    const [one] = await trial.queue.pull("t", "a", { max: 2, lease: 1000 });
    const outcomes = await Promise.all([failed(one!.ack()), failed(one!.retry(0)), failed(one!.ack())]);
    expect(outcomes).toEqual(["ok", "CONFLICT", "ok"]);
    await trial.close();
  });

  test("what is held alone is acknowledged together with what was taken with it", async () => {
    const trial = await begin();
    await trial.queue.push("t", items("1", "2", "3"));
    const taken = await trial.queue.pull("t", "a", { max: 3, lease: 1000 });
    await taken[1]!.extend(hour);
    await Promise.all(taken.map((each) => each.ack()));
    expect(await trial.queue.backlog("t", "a")).toEqual({ items: 0, leased: 0, age: 0 });
    await trial.pass(2 * hour);
    expect(await pull(trial)).toEqual([]);
    await trial.close();
  });

  test("of two delays that are over the one that was first comes first", async () => {
    const trial = await begin();
    await trial.queue.push("t", [100, 50, 75].map((delay) => ({ id: `${delay}`, payload: "", delay })));
    await trial.pass(200);
    expect(await pull(trial)).toEqual(["50", "75", "100"]);
    await trial.close();
  });

  test("a group that is to end when idle does not while something is in hands from before", async () => {
    const trial = await begin();
    await trial.queue.push("t", items("1"));
    const [held] = await trial.queue.pull("t", "a", { max: 1, lease: hour });
    await trial.queue.subscribe("t", "a", { idle: 1000 });
    await trial.pass(hour - 1);
    await trial.queue.push("t", items("2"));
    await held!.ack();
    expect(await pull(trial)).toEqual(["2"]);
    await trial.close();
  });

  test("what one turn acknowledges goes in one command", async () => {
    await using redis = stand.open();
    const queue = redisQueue(redis, { name: `n${names++}` });
    await queue.subscribe("t", "a");
    await queue.push("t", many(64));
    const first = await queue.pull("t", "a", { max: 10, lease: hour });
    await Promise.all(first.map((each) => each.ack()));
    const [one, ...rest] = await queue.pull("t", "a", { max: 20, lease: hour });
    const others = await queue.pull("t", "a", { max: 100, lease: hour });
    await one!.retry(hour);
    const before = redis.sent;
    await Promise.all([...rest, ...others].map((each) => each.ack()));
    expect(redis.sent - before).toBe(1);
    expect(await queue.backlog("t", "a")).toMatchObject({ items: 1, leased: 0 });
  });

  test("what one turn pushes one by one goes in one command, in its order", async () => {
    await using redis = stand.open();
    const queue = redisQueue(redis, { name: `n${names++}` });
    for (const group of ["a", "b"]) await queue.subscribe("t", group);
    await queue.push("t", items("known"));
    const before = redis.sent;
    const given = ["1", "known", "2", "3", "2"].map((id, at) => ({
      id,
      key: at % 2 === 0 ? undefined : "k",
      payload: at === 3 ? new Uint8Array([1, 255]) : `${id} ${at}`,
    }));
    await Promise.all(given.map((item) => queue.push("t", [item])));
    // A second one tells Redis the script, which it does not know yet.
    expect(redis.sent - before).toBeLessThanOrEqual(2);
    for (const group of ["a", "b"]) {
      const taken = await queue.pull("t", group, { max: 9, lease: hour });
      expect(taken.map(({ id, key, payload }) => [id, key, payload])).toEqual([
        ["known", undefined, "known"],
        ["1", undefined, "1 0"],
        ["2", undefined, "2 2"],
        ["3", "k", new Uint8Array([1, 255])],
      ]);
      await Promise.all(taken.map((each) => each.ack()));
      expect(await queue.backlog("t", group)).toEqual({ items: 0, leased: 0, age: 0 });
    }
    // Nothing is left of the key, though some that were acknowledged with it had none.
    await queue.push("t", [{ id: "4", key: "k", payload: "" }]);
    expect((await queue.pull("t", "b", { max: 9, lease: hour })).map(({ id }) => id)).toEqual(["4"]);
  });

  test("of what one turn pushes one by one each is kept that has room, and of a push all or none", async () => {
    const trial = await begin({ items: 10 }, "b");
    const { queue } = trial;
    const codes = await Promise.all(
      [...many(7), ...items("0", "6")].map((item) => failed(queue.push("t", [item]))),
    );
    expect(codes).toEqual(["ok", "ok", "ok", "ok", "ok", "OVERLOADED", "OVERLOADED", "ok", "OVERLOADED"]);
    expect(await pull(trial)).toEqual(["0", "1", "2", "3", "4"]);
    for (const group of ["a", "b"]) {
      const [one] = await queue.pull("t", group, { max: 1, lease: hour });
      await one?.ack();
    }
    for (const each of await queue.pull("t", "b", { max: 2, lease: hour })) await each.ack();
    expect(await failed(queue.push("t", items("5", "6")))).toBe("OVERLOADED");
    expect(await failed(queue.push("t", items("5")))).toBe("ok");
    expect(await failed(queue.push("t", items("6")))).toBe("OVERLOADED");
    await trial.close();
  });

  test("an item that is not as it was pushed is told as TRANSPORT", async () => {
    for (const text of ["", "t", "1,t", "12", "b", "1x", "2t1", "1b1!"]) {
      const trial = await begin();
      await trial.queue.push("t", items("1", "2"));
      const tag = `{${trial.name}:q}:t`;
      const [entry] = await trial.redis.send(["XRANGE", `${tag}:s`, "-", "+", "COUNT", 1]) as [[string]];
      await trial.redis.send(["XDEL", `${tag}:s`, entry[0]]);
      await trial.redis.send([
        "XADD",
        `${tag}:s`,
        "MAXLEN",
        9,
        `${Number(entry[0].slice(0, -2)) + 9}-0`,
        "v",
        text,
      ]);
      expect([text, await failed(trial.queue.pull("t", "a", { max: 9, lease: 1000 }))]).toEqual([
        text,
        "TRANSPORT",
      ]);
      await trial.close();
    }
  });

  test("keeps what is not done with, and nothing else", async () => {
    const trial = await begin({}, "b");
    const { queue } = trial;
    await queue.push("t", [{ id: "later", payload: "", delay: 1000 * hour }, ...many(300)]);
    for (const group of ["a", "b"]) {
      expect((await kept(trial)).stream).toBe(301);
      for (let left = 300; left > 0;) {
        const taken = await queue.pull("t", group, { max: 70, lease: hour });
        left -= taken.length;
        await Promise.all(taken.map((each) => each.ack()));
      }
    }
    expect((await kept(trial)).stream).toBe(1);
    await trial.pass(1001 * hour);
    for (const group of ["a", "b"]) {
      for (const each of await queue.pull("t", group, { max: 9, lease: hour })) await each.ack();
      await queue.unsubscribe("t", group);
    }
    const { stream, keys } = await kept(trial);
    expect(stream).toBe(0);
    expect(keys.filter((key) => ![":m", ":n", ":s"].includes(key))).toEqual([]);
    await trial.close();
  });

  test("what one group has done with at once is there for the others, also those that are done later", async () => {
    const trial = await begin({}, "b");
    const { queue } = trial;
    await queue.push("t", many(50));
    const done = async (group: string, max: number): Promise<string[]> => {
      const taken = await queue.pull("t", group, { max, lease: hour });
      await Promise.all(taken.map((each) => each.ack()));
      return taken.map(({ id }) => id);
    };
    expect((await done("a", 50)).length).toBe(50);
    expect(await done("b", 20)).toEqual(many(20).map(({ id }) => id));
    await queue.unsubscribe("t", "b");
    expect((await kept(trial)).stream).toBe(0);
    // From here on there is one group, whose items go from the front of the stream.
    await queue.push("t", many(60, 100));
    const open = await queue.pull("t", "a", { max: 10, lease: hour });
    expect((await done("a", 20)).length).toBe(20);
    expect((await kept(trial)).stream).toBe(40);
    await Promise.all(open.map((each) => each.ack()));
    expect((await done("a", 20)).length).toBe(20);
    expect((await kept(trial)).stream).toBe(10);
    await queue.subscribe("t", "b");
    await queue.push("t", many(10, 200));
    expect((await done("a", 30)).length).toBe(20);
    expect((await done("b", 30)).length).toBe(10);
    expect((await kept(trial)).stream).toBe(0);
    await trial.close();
  });

  test("what a group had is gone when it has ended, however much and in whatever state", async () => {
    const trial = await begin({}, "b");
    const { queue } = trial;
    await queue.push("t", many(1000).map((item, at) => at % 3 === 0 ? { ...item, key: "k" } : item));
    await queue.push("t", many(300, 1000).map((item) => ({ ...item, delay: hour })));
    await queue.pull("t", "a", { max: 800, lease: hour });
    await queue.pull("t", "a", { max: 500, lease: hour });
    await queue.push("t", many(500, 1300));
    await queue.unsubscribe("t", "a");
    expect((await kept(trial)).stream).toBe(1800);
    await queue.unsubscribe("t", "b");
    const { stream, keys } = await kept(trial);
    expect(stream).toBe(0);
    expect(keys.filter((key) => ![":m", ":n", ":s"].includes(key))).toEqual([]);
    await trial.close();
  });

  test("what an idle group had is gone, though nobody takes care of it but who pushes", async () => {
    const trial = await open();
    await trial.queue.subscribe("t", "idle", { idle: 1000 });
    await trial.queue.push("t", many(300));
    await trial.pass(2000);
    for (let at = 0; at < 10; at++) await trial.queue.push("t", many(1, 1000 + at));
    expect((await kept(trial)).stream).toBe(0);
    await trial.close();
  });

  test("a month of delay or lease is exact to the microsecond", async () => {
    const trial = await begin();
    const month = 30 * 24 * hour;
    await trial.queue.push("t", [{ id: "1", payload: "", delay: month }]);
    expect(await pull(trial)).toEqual([]);
    await trial.pass(month - 0.001);
    expect(await pull(trial)).toEqual([]);
    await trial.pass(0.001);
    expect(await pull(trial)).toEqual(["1"]);
    await trial.close();
  });

  test("after all was lost a new item is not taken for an old one", async () => {
    const trial = await begin();
    await trial.queue.push("t", items("1"));
    const [old] = await trial.queue.pull("t", "a", { max: 1, lease: hour });
    const keys = (await kept(trial)).keys.map((key) => `{${trial.name}:q}:t${key}`);
    await trial.redis.send(["DEL", ...keys]);
    expect(await failed(trial.queue.pull("t", "a", { max: 1, lease: hour }))).toBe("NO_HANDLER");
    await trial.pass(1);
    await trial.queue.subscribe("t", "a");
    await trial.queue.push("t", items("1"));
    expect(await failed(old!.extend(hour))).toBe("CONFLICT");
    const [fresh] = await trial.queue.pull("t", "a", { max: 1, lease: hour });
    await old!.ack();
    expect(await failed(fresh!.extend(hour))).toBe("ok");
    await trial.close();
  });

  test("remembers so many names and no more", async () => {
    const trial = await begin({ names: 10 });
    await trial.queue.push("t", many(10));
    await trial.queue.push("t", items("5", "new"));
    await trial.queue.push("t", items("9", "0"));
    expect((await pull(trial)).slice(10)).toEqual(["new", "0"]);
    await trial.close();
  });
});

describe("waiting for items in Redis", () => {
  test("idle groups of a node cost at most 20 commands a minute together", async () => {
    const trial = await open();
    const groups = Array.from({ length: 20 }, (_, at) => `g${at}`);
    for (const [at, group] of groups.entries()) await trial.queue.subscribe(`t${at % 4}`, group);
    let isOpen = true;
    const follow = async (at: number): Promise<void> => {
      while (isOpen) {
        await trial.queue.pull(`t${at % 4}`, `g${at}`, { max: 9, lease: 30_000, wait: 30_000 });
      }
    };
    const following = groups.map((_, at) => follow(at));
    await trial.pass(30_000);
    const before = trial.redis.sent;
    await trial.pass(300_000);
    // Each run is a command known by its digest, and then here a second one.
    const looks = (trial.redis.sent - before) / 2;
    expect(looks).toBeLessThanOrEqual(100);
    expect(looks).toBeGreaterThanOrEqual(80);
    isOpen = false;
    await trial.pass(30_000);
    await Promise.all(following);
    await trial.close();
  }, 30_000);

  test.each([1, 50])("what others push is heard in 3 s at most by each of %d idle groups", async (count) => {
    const trial = await open();
    const heard: number[] = [];
    const { mono } = trial.clock.runtime.clock;
    let pushed = 0;
    const follow = async (topic: string, group: string): Promise<void> => {
      await trial.queue.subscribe(topic, group);
      const [item] = await trial.queue.pull(topic, group, { max: 1, lease: 60_000, wait: 600_000 });
      heard.push(mono() - pushed);
      await item!.ack();
    };
    const following = Array.from({ length: count }, (_, at) => follow(`t${at % 10}`, `g${at}`));
    await trial.pass(100_000);
    const before = trial.redis.sent;
    pushed = mono();
    for (let at = 0; at < 10; at++) await trial.other.push(`t${at}`, [{ id: "1", payload: "" }]);
    await trial.pass(3000);
    await Promise.all(following);
    expect(Math.max(...heard)).toBeLessThanOrEqual(3000);
    // Each group takes its item and acknowledges it; the polls are few.
    expect((trial.redis.sent - before) / 2).toBeLessThanOrEqual(count * 2 + 10);
    await trial.close();
  }, 30_000);

  test("a group that has much to do keeps no other from hearing of others", async () => {
    const trial = await open();
    for (const topic of ["busy", "idle"]) await trial.queue.subscribe(topic, "a");
    const asked = trial.queue.pull("idle", "a", { max: 1, lease: 60_000, wait: 600_000 });
    let isOpen = true;
    const busy = (async () => {
      while (isOpen) {
        for (const each of await trial.queue.pull("busy", "a", { max: 1, lease: 60_000, wait: 10_000 })) {
          await each.ack();
        }
      }
    })();
    const pass = async (times: number): Promise<void> => {
      for (let at = 0; at < times; at++) {
        await trial.queue.push("busy", [{ id: `${names++}`, payload: "" }]);
        await trial.pass(20);
      }
    };
    await pass(50);
    await trial.other.push("idle", [{ id: "1", payload: "" }]);
    await pass(100);
    expect(await Promise.race([asked.then(([item]) => item?.id), sleep(100)])).toBe("1");
    isOpen = false;
    await trial.pass(10_000);
    await busy;
    await trial.close();
  }, 30_000);

  test("who finds something makes it be asked sooner for all others that wait", async () => {
    const trial = await open();
    for (const topic of ["busy", "idle"]) await trial.queue.subscribe(topic, "a");
    const asked = trial.queue.pull("idle", "a", { max: 1, lease: 60_000, wait: 600_000 });
    await trial.pass(100_000);
    for (const topic of ["busy", "idle"]) await trial.other.push(topic, [{ id: topic, payload: "" }]);
    const [busy] = await trial.queue.pull("busy", "a", { max: 1, lease: 60_000, wait: 1000 });
    await trial.pass(50);
    const heard = await Promise.race([asked.then(([item]) => item?.id), sleep(100)]);
    expect([busy?.id, heard]).toEqual(["busy", "idle"]);
    await trial.pass(600_000);
    await trial.close();
  }, 30_000);

  test("what others give back, free or hold for less time is heard too", async () => {
    const trial = await open();
    await trial.queue.subscribe("t", "a");
    await trial.other.push("t", ["1", "2", "3"].map((id) => ({ id, key: `k${id}`, payload: "" })));
    await trial.other.push("t", [{ id: "4", key: "k1", payload: "" }]);
    const [one, two, three] = await trial.other.pull("t", "a", { max: 3, lease: 3_600_000 });
    const heard = async (): Promise<string> => {
      const [item] = await trial.queue.pull("t", "a", { max: 1, lease: 3_600_000, wait: 600_000 });
      return item!.id;
    };
    for (
      const [what, id] of [[() => two!.retry(0), "2"], [() => one!.ack(), "4"], [
        () => three!.extend(10),
        "3",
      ]] as const
    ) {
      const asked = heard();
      await trial.pass(100_000);
      await what();
      await trial.pass(3100);
      expect(await Promise.race([asked, sleep(100).then(() => "nothing")])).toBe(id);
    }
    await trial.close();
  }, 30_000);

  test("whoever waits hears that the group has ended, also when all was lost", async () => {
    for (const end of ["unsubscribe", "lose", "lose and begin again"]) {
      const trial = await open();
      await trial.queue.subscribe("t", "a");
      const asked = failed(trial.queue.pull("t", "a", { max: 1, lease: 1000, wait: 600_000 }));
      await trial.pass(100_000);
      if (end === "unsubscribe") await trial.other.unsubscribe("t", "a");
      else {
        const keys = (await trial.redis.send(["KEYS", "*"]) as string[]).filter((key) =>
          key.startsWith(`{${trial.name}:q}`)
        );
        await trial.redis.send(["DEL", ...keys]);
        if (end !== "lose") await trial.other.subscribe("u", "b");
      }
      await trial.pass(3100);
      expect(await Promise.race([asked, sleep(100).then(() => "nothing")])).toBe("NO_HANDLER");
      await trial.close();
    }
  }, 30_000);

  test("changes of very many topics are heard", async () => {
    const trial = await open();
    await trial.queue.subscribe("t", "a");
    const asked = trial.queue.pull("t", "a", { max: 1, lease: 1000, wait: 600_000 });
    await trial.pass(100_000);
    await trial.other.push("t", [{ id: "1", payload: "" }]);
    const changes = `{${trial.name}:q}:v`;
    const last = Number((await trial.redis.send(["ZRANGE", changes, -1, -1, "WITHSCORES"]) as string[])[1]);
    for (let at = 0; at < 10_000; at += 1000) {
      const others = Array.from({ length: 1000 }, (_, n) => [last + at + n + 1, `other ${at + n}`]).flat();
      await trial.redis.send(["ZADD", changes, ...others]);
    }
    await trial.queue.subscribe("u", "a");
    await trial.other.push("u", [{ id: "1", payload: "" }]);
    // It is listed no longer, but so many others are that all may have changed.
    expect(await trial.redis.send(["ZSCORE", changes, `{${trial.name}:q}:t`])).toBe(null);
    expect(await trial.redis.send(["ZCARD", changes])).toBeLessThanOrEqual(10_000);
    await trial.pass(3100);
    expect(await Promise.race([asked.then(([item]) => item?.id), sleep(100)])).toBe("1");
    await trial.close();
  }, 30_000);

  test("what this process pushes, frees or gives back is heard without any time passing", async () => {
    const trial = await open();
    await trial.queue.subscribe("t", "a");
    const heard = async (): Promise<Delivery> => {
      const asked = trial.queue.pull("t", "a", { max: 1, lease: 60_000, wait: 3_600_000 });
      await trial.pass(30_000);
      return (await asked)[0]!;
    };
    const first = heard();
    await trial.pass(29_000);
    await trial.queue.push("t", ["1", "2"].map((id) => ({ id, key: "k", payload: "" })));
    await trial.clock.settle();
    const began = trial.clock.runtime.clock.mono();
    const one = await first;
    const second = heard();
    await trial.pass(29_000);
    await one.ack();
    const two = await second;
    expect([one.id, two.id]).toEqual(["1", "2"]);
    const third = heard();
    await trial.pass(29_000);
    await two.retry(0);
    expect((await third).attempt).toBe(2);
    expect(trial.clock.runtime.clock.mono() - began).toBeLessThan(90_000);
    await trial.close();
  });

  test("what stands behind many that are kept back by their key is heard without any time passing", async () => {
    const trial = await open();
    await trial.queue.subscribe("t", "a");
    const keyed = Array.from({ length: 2000 }, (_, at) => ({ id: `${at}`, key: "k", payload: "" }));
    await trial.queue.push("t", keyed.slice(0, 1000));
    await trial.queue.push("t", keyed.slice(1000));
    await trial.queue.push("t", [{ id: "free", payload: "" }]);
    await trial.queue.pull("t", "a", { max: 1, lease: 3_600_000 });
    const asked = trial.queue.pull("t", "a", { max: 1, lease: 60_000, wait: 1000 });
    await trial.clock.settle();
    await trial.clock.settle();
    const began = trial.clock.runtime.clock.mono();
    expect((await asked).map(({ id }) => id)).toEqual(["free"]);
    expect(trial.clock.runtime.clock.mono()).toBe(began);
    await trial.close();
  });

  test("a wait that is over while it is looked for ends with that look", async () => {
    const wire = restWire({ url: stand.url, token: TOKEN }, quiet());
    let looks = 0;
    await using redis = createCommander({
      request: async (commands, signal) => {
        const outcomes = await wire.request(commands, signal);
        if (commands.some((words) => words[1] === digestOf(TAKE)) && ++looks === 3) await sleep(1500);
        return outcomes;
      },
    }, { runtime: quiet() });
    const queue = redisQueue(redis, { name: `n${names++}`, poll: { perMinute: 0.01 } });
    await queue.subscribe("t", "a");
    // From here on Redis knows the script.
    await queue.pull("t", "a", { max: 1, lease: 60_000 });
    looks = 1;
    const asked = queue.pull("t", "a", { max: 1, lease: 60_000, wait: 1000 });
    await sleep(100);
    await queue.subscribe("t", "a");
    expect(await Promise.race([asked, sleep(5000)])).toEqual([]);
    expect(looks).toBe(3);
  });

  test("what comes for one who has left goes to the next", async () => {
    const trial = await open();
    await trial.queue.subscribe("t", "a");
    await trial.queue.push("t", [{ id: "1", payload: "" }]);
    const given = new AbortController();
    const left = failed(
      trial.queue.pull("t", "a", { max: 1, lease: 60_000, wait: 1000, signal: given.signal }),
    );
    const next = trial.queue.pull("t", "a", { max: 1, lease: 60_000, wait: 1000 });
    await Promise.resolve();
    given.abort();
    expect(await left).toBe("CANCELLED");
    await trial.clock.settle();
    expect((await next).map(({ id, attempt }) => [id, attempt])).toEqual([["1", 2]]);
    await trial.close();
  });
});
