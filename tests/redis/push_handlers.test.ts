/** Reliable events that are posted to where nobody polls, and handled there as on a node. */

import { type Context, createMediator, type Module, on, reliableEvent, type } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { deadLetters, handlePushed, type PushedDelivery } from "@catga/catga/durable";
import { memory, memoryStore } from "@catga/catga/memory";
import { type LogEntry, type Store, withStorage } from "@catga/catga/ports";
import { pushReceiver, pushRelay, redis, type RedisStorage } from "@catga/catga/redis";
import { serve } from "@catga/catga/serve";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { json } from "../../src/wire/json.ts";
import { encodeParcel } from "../../src/wire/parcel.ts";
import { failed, openStand, quiet, type RedisStand, sleep, TOKEN } from "./support.ts";

const SECRET = "a secret of the tests, long enough";
const delivery = { attempts: 1, redeliver: [1, 1] };
const Paid = reliableEvent("paid", {
  data: type<{ readonly n: number }>(),
  key: ({ n }) => `k${n % 3}`,
  delivery,
});
const Counted = reliableEvent("counted", {
  data: type<{ readonly n: number }>(),
  delivery: { ...delivery, qos: 2 },
});
const Everywhere = reliableEvent("everywhere", { data: type<void>(), delivery: { to: "nodes" } });

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; looks < 1000; looks++) {
    if (await holds()) return;
    await sleep(10);
  }
  throw new Error(`Expected, but did not happen: ${what}`);
}

describe("events that are posted", () => {
  let stand: RedisStand;
  let storage: RedisStorage;
  beforeAll(async () => {
    stand = await openStand();
    storage = redis({ url: stand.url, token: TOKEN }, { polling: "fast" });
  });
  afterAll(async () => {
    await storage[Symbol.asyncDispose]();
    await stand[Symbol.asyncDispose]();
  });

  test("are handled, put back, buried and replayed as on a node", async () => {
    const runtime = quiet();
    const { store, queue } = storage;
    const heard: number[] = [];
    let isWell = false;
    const mail = ({ n }: { readonly n: number }, { delivery }: Context): void => {
      if (n === 5 && !isWell || n === 7 && delivery!.attempt < 3) throw new Error("not now");
      heard.push(n);
    };
    const app = createMediator({ handlers: [on(Paid, mail, { name: "mail" })], runtime });
    const take = handlePushed(app, { store, service: "shop" });
    const server = await serve(pushReceiver({ runtime, secrets: [SECRET], take }), { port: 0 });
    const letters = deadLetters(store, { runtime });
    const topic = Paid.type;
    const group = "shop/mail";
    const relay = pushRelay({
      runtime,
      queue,
      topic,
      group,
      endpoint: server.url,
      secret: SECRET,
      deadLetters: letters,
      longest: 100,
    });
    await until("the relay has begun", async () => await failed(queue.backlog(topic, group)) === "ok");
    const node = await joinCluster(createMediator({ handlers: [], runtime }), {
      node: "a",
      endpoint: "memory:a",
      backend: withStorage(memory(), storage),
    });
    for (let n = 0; n < 20; n++) expect((await node.publish(Paid({ n }))).ok).toBe(true);
    await until("all are done with", async () => (await queue.backlog(topic, group)).items === 0);
    expect(heard.toSorted((a, b) => a - b)).toEqual([...Array(20).keys()].filter((n) => n !== 5));
    for (let key = 0; key < 3; key++) {
      const own = heard.filter((n) => n % 3 === key);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
    }
    const { letters: [letter], total } = await letters.list({ topic, group });
    expect([total, letter!.attempts, letter!.handedOut, letter!.code]).toEqual([1, 3, 3, "INTERNAL"]);
    isWell = true;
    expect(await letters.replay([letter!.name], { queue })).toBe(1);
    await until("it was replayed", () => heard.includes(5));
    expect((await letters.list()).total).toBe(0);
    // What failed is remembered no longer than it is needed.
    await until("nothing is left", async () => (await store.list("failures/")).length === 0);
    await node.leave();
    await relay[Symbol.asyncDispose]();
    await server.stop();
  }, 30_000);

  test("for handlers that are not there become dead letters with the endpoint's status", async () => {
    const runtime = quiet();
    const { store, queue } = storage;
    const app = createMediator({ handlers: [on(Paid, () => {}, { name: "mail" })], runtime });
    const take = handlePushed(app, { store, service: "shop" });
    const server = await serve(pushReceiver({ runtime, secrets: [SECRET], take }), { port: 0 });
    const letters = deadLetters(store, { runtime });
    const topic = Paid.type;
    const group = "shop/another";
    await queue.subscribe(topic, group);
    await queue.push(topic, [{ id: "n", payload: payloadOf(1) }]);
    await using _relay = pushRelay({
      runtime,
      queue,
      topic,
      group,
      endpoint: server.url,
      secret: SECRET,
      deadLetters: letters,
      redeliver: [1],
    });
    await until("it is a dead letter", async () => (await letters.list({ topic, group })).total === 1);
    const [letter] = (await letters.list({ topic, group })).letters;
    expect([letter!.attempts, letter!.message]).toEqual([2, expect.stringContaining("answered 404")]);
    await server.stop();
  }, 30_000);
});

describe("handling what is brought", () => {
  function open(handlers: Module, options: { readonly concurrency?: number } = {}) {
    const logs: LogEntry[] = [];
    const runtime = quiet(logs);
    const store: Store = memoryStore({ clock: runtime.clock });
    const app = createMediator({ handlers, runtime });
    const take = handlePushed(app, { store, service: "shop", unsafe: true, ...options });
    const letters = deadLetters(store, { runtime });
    return { take, letters, store, logs };
  }
  const bring = (id: string, change: Partial<PushedDelivery> = {}): PushedDelivery => ({
    topic: Paid.type,
    group: "shop/mail",
    id,
    key: undefined,
    payload: payloadOf(1, change.topic),
    attempt: 1,
    pushed: 1_767_225_600_000,
    ...change,
  });
  const faultOf = (work: Promise<void>) =>
    work.then(() => undefined, (thrown: { code: string; data?: unknown }) => [thrown.code, thrown.data]);

  test("says after how long what failed is to be brought again, and buries it after that", async () => {
    const Slow = reliableEvent("slow", {
      data: type<{ readonly n: number }>(),
      delivery: { attempts: 1, redeliver: [7000, 90_000_000] },
    });
    const { take, letters } = open([on(Slow, () => Promise.reject(new Error("no")), { name: "mail" })]);
    const at = (attempt: number) => faultOf(take(bring("1", { topic: "slow", attempt })));
    expect(await at(1)).toEqual(["UNAVAILABLE", { retryAfter: 7000 }]);
    // The relay could not reach it twice, which counts as nothing.
    expect(await at(3)).toEqual(["UNAVAILABLE", { retryAfter: 90_000_000 }]);
    expect((await letters.list()).total).toBe(0);
    expect(await at(4)).toBe(undefined);
    expect((await letters.list()).letters).toMatchObject([{ group: "shop/mail", attempts: 3, handedOut: 4 }]);
  });

  test("tries as often as its contract says before that", async () => {
    const Tried = reliableEvent("tried", { data: type<{ readonly n: number }>(), delivery: { attempts: 3 } });
    let tries = 0;
    const handler = (): void => {
      if (++tries < 3) throw new Error("no");
    };
    const { take } = open([on(Tried, handler, { name: "mail" })]);
    await take(bring("1", { topic: "tried" }));
    expect(tries).toBe(3);
  });

  test("knows again what is done with QoS 2, and does not with QoS 1", async () => {
    const heard: string[] = [];
    const { take } = open([
      on(Paid, () => void heard.push("paid"), { name: "mail" }),
      on(Counted, () => void heard.push("counted"), { name: "mail" }),
    ]);
    for (let times = 0; times < 2; times++) {
      await take(bring("1"));
      await take(bring("1", { topic: Counted.type, attempt: 1 + times }));
    }
    expect(heard).toEqual(["paid", "counted", "paid"]);
  });

  test("what cannot be read is a dead letter at once", async () => {
    const { take, letters } = open([on(Paid, () => {}, { name: "mail" })]);
    await take(bring("1", { payload: "no parcel" }));
    await take(bring("2", { payload: payloadOf(1, "another") }));
    const { letters: found } = await letters.list();
    expect(found.map(({ id, code }) => `${id} ${code}`)).toEqual(["1 SERIALIZATION", "2 SERIALIZATION"]);
  });

  test("refuses what nobody handles, and events for every node", async () => {
    const { take } = open([on(Paid, () => {}, { name: "mail" }), on(Everywhere, () => {}, { name: "mail" })]);
    for (
      const change of [{ group: "shop/x" }, { group: "other/mail" }, { topic: "other" }, {
        topic: "everywhere",
      }]
    ) {
      expect((await faultOf(take(bring("1", change))))?.[0]).toBe("NO_HANDLER");
    }
  });

  test("handles no more at a time than it may, and an item once at a time", async () => {
    let end = (): void => {};
    const handler = () => new Promise<void>((resolve) => end = resolve);
    const { take } = open([on(Paid, handler, { name: "mail" })], { concurrency: 2 });
    const first = take(bring("1"));
    expect(await faultOf(take(bring("1")))).toEqual(["UNAVAILABLE", { retryAfter: 1000 }]);
    await sleep(1);
    const ends = [end];
    const second = take(bring("2"));
    await sleep(1);
    ends.push(end);
    expect(await faultOf(take(bring("3")))).toEqual(["OVERLOADED", { retryAfter: 1000 }]);
    for (const each of ends) each();
    await Promise.all([first, second]);
    const third = take(bring("3"));
    await sleep(1);
    end();
    await third;
  });

  test("stops when nobody waits for the answer any longer, and answers no success", async () => {
    let signal: AbortSignal | undefined;
    const handler = (_: unknown, context: Context) =>
      new Promise<void>((resolve) => {
        signal = context.signal;
        signal.addEventListener("abort", () => resolve());
      });
    const { take, letters } = open([on(Paid, handler, { name: "mail" })]);
    expect(await faultOf(take(bring("1", { within: 60 })))).toEqual(["UNAVAILABLE", undefined]);
    expect(signal!.aborted).toBe(true);
    expect((await letters.list()).total).toBe(0);
  });

  test("what a handler publishes reliably is not said to be kept", async () => {
    const said: string[] = [];
    const handler = async (_: unknown, context: Context): Promise<void> => {
      const result = await context.publish(Counted({ n: 1 }));
      said.push(result.ok ? "ok" : result.error.code);
    };
    const counted = on(Counted, () => void said.push("heard"), { name: "count" });
    const { take } = open([on(Paid, handler, { name: "mail" }), counted]);
    await take(bring("1"));
    expect(said).toEqual(["UNAVAILABLE"]);
  });

  test("wants a store that keeps, a service and handlers that can be told apart", () => {
    const runtime = quiet();
    const store = memoryStore({ clock: runtime.clock });
    const app = createMediator({ handlers: [on(Paid, () => {}, { name: "a" })], runtime });
    const twins = createMediator({
      handlers: [on(Paid, () => {}, { name: "a" }), on(Paid, () => {}, { name: "a" })],
      runtime,
    });
    expect(() => handlePushed(app, { store, service: "shop" })).toThrow("unsafe: true");
    for (const service of ["", "a/b"]) {
      expect(() => handlePushed(app, { store, service, unsafe: true })).toThrow("no name of a service");
    }
    expect(() => handlePushed(twins, { store, service: "shop", unsafe: true })).toThrow("two handlers");
    expect(() => handlePushed(app, { store, service: "s", unsafe: true, concurrency: 0 })).toThrow(
      RangeError,
    );
  });
});

function payloadOf(n: number, type: string = Paid.type): ReturnType<typeof encodeParcel> {
  return encodeParcel(json, {
    type,
    body: { n },
    id: `event-${n}`,
    correlationId: undefined,
    causationId: undefined,
    headers: undefined,
  });
}
