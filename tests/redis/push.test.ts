/** Items of a queue that are posted to a node, and the node that takes them. */

import { memoryQueue } from "@catga/catga/memory";
import { CatgaError, systemFault } from "@catga/catga";
import type { Delivery, FetchInit, LogEntry, Queue, Runtime } from "@catga/catga/ports";
import { serve } from "@catga/catga/serve";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createHmac } from "node:crypto";
import { type PushedItem, readPushed, writePushed } from "../../adapters/redis/push_item.ts";
import { pushReceiver } from "../../adapters/redis/push_receiver.ts";
import { pushRelay, type PushRelayOptions } from "../../adapters/redis/push_relay.ts";
import type { RefusedItem } from "../../adapters/redis/push_refusals.ts";
import { isSignedPush, signPush } from "../../adapters/redis/push_signature.ts";
import { redisQueue } from "../../adapters/redis/queue.ts";
import { openStand, quiet, type RedisStand, sleep } from "./support.ts";

const SECRET = "a secret of the tests, long enough";
const OTHER = "another secret of the tests, long enough";
const { crypto, clock } = quiet();
const item: PushedItem = {
  topic: "t/ü",
  group: "g",
  id: "1",
  key: "k",
  payload: "hello",
  attempt: 2,
  pushed: 1_767_225_600_000,
};

async function request(body = writePushed(item), secret = SECRET, now = clock.wall()): Promise<Request> {
  const signed = await signPush(crypto, secret, "msg", now, body);
  return new Request("http://node/push", { method: "POST", body, headers: signed });
}

describe("the signature of a push", () => {
  test("is that of Standard Webhooks", async () => {
    const body = `{"test": 2432232314}`;
    const headers = await signPush(crypto, SECRET, "msg_1", 1_614_265_330_999, body);
    const mac = createHmac("sha256", SECRET).update(`msg_1.1614265330.${body}`).digest("base64");
    expect(headers).toEqual({
      "webhook-id": "msg_1",
      "webhook-timestamp": "1614265330",
      "webhook-signature": `v1,${mac}`,
    });
  });

  test("holds for what was signed, with any of the secrets, for five minutes", async () => {
    const now = 1_700_000_000_000;
    const body = "body";
    const signed = await signPush(crypto, SECRET, "m", now, body);
    const holds = (change: Record<string, string>, text = body, at = now, secrets = [OTHER, SECRET]) =>
      isSignedPush(crypto, secrets, new Headers({ ...signed, ...change }), at, text);
    expect(await holds({})).toBe(true);
    expect(await holds({}, body, now + 299_000)).toBe(true);
    expect(await holds({}, body, now - 299_000)).toBe(true);
    expect(await holds({ "webhook-signature": `v1,x v2,y ${signed["webhook-signature"]}` })).toBe(true);
    expect(await holds({}, body, now + 302_000)).toBe(false);
    expect(await holds({}, body, now - 302_000)).toBe(false);
    expect(await holds({}, "bodY")).toBe(false);
    expect(await holds({}, body, now, [OTHER])).toBe(false);
    expect(await holds({ "webhook-id": "n" })).toBe(false);
    expect(await holds({ "webhook-timestamp": "1700000001" })).toBe(false);
    expect(await holds({ "webhook-timestamp": "NaN" })).toBe(false);
    for (const signature of ["", "v1,", "v1", "v2" + signed["webhook-signature"]!.slice(2)]) {
      expect(await holds({ "webhook-signature": signature })).toBe(false);
    }
  });
});

describe("an item that is posted", () => {
  test("comes back as it was", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 });
    const pushed = fc.record({
      topic: text,
      group: text,
      id: text,
      key: fc.option(text, { nil: undefined }),
      payload: fc.oneof(text, fc.uint8Array({ maxLength: 50 })),
      attempt: fc.nat(),
      pushed: fc.nat(),
      within: fc.nat().map((ms) => ms + 1),
    }, { requiredKeys: ["topic", "group", "id", "key", "payload", "attempt", "pushed"] });
    fc.assert(fc.property(pushed, (item) => expect(readPushed(writePushed(item))).toEqual(item)));
  });

  test("what is none is not read", () => {
    const good = JSON.parse(writePushed(item));
    const changed = [{ version: 2 }, { topic: 1 }, { id: null }, { key: 1 }, { attempt: "1" }, {
      pushed: null,
    }];
    for (const change of [...changed, { text: undefined }, { bytes: "%" }, { within: 0 }, { within: "1" }]) {
      expect(readPushed(JSON.stringify({ ...good, ...change }))).toBe(undefined);
    }
    for (const text of ["", "null", "[]", "1", "{"]) expect(readPushed(text)).toBe(undefined);
  });
});

describe("a receiver", () => {
  const receive = (take: (item: PushedItem) => Promise<void>, limit?: number) =>
    pushReceiver({
      runtime: { crypto, clock },
      secrets: [SECRET],
      take,
      ...(limit === undefined ? {} : { limit }),
    });

  test("hands on what is signed, and nothing else", async () => {
    const taken: PushedItem[] = [];
    const fetch = receive((item) => Promise.resolve(void taken.push(item)), 1000);
    const status = async (asked: Request | Promise<Request>): Promise<number> =>
      (await fetch(await asked)).status;
    expect(await status(request())).toBe(204);
    expect(taken).toEqual([item]);
    expect(await status(new Request("http://node/push"))).toBe(405);
    expect(await status(new Request("http://node/push", { method: "POST", body: writePushed(item) }))).toBe(
      401,
    );
    expect(await status(request(undefined, OTHER))).toBe(401);
    expect(await status(request(undefined, SECRET, clock.wall() - 400_000))).toBe(401);
    expect(await status(request("{}"))).toBe(400);
    expect(await status(request("x".repeat(1001)))).toBe(413);
    expect(taken.length).toBe(1);
  });

  test.each([
    ["what may go well later", "UNAVAILABLE", undefined, 503, null],
    ["too much just now", "OVERLOADED", { retryAfter: 2500 }, 429, "3"],
    ["what nobody throws on purpose", undefined, undefined, 503, null],
    ["what never goes well", "VALIDATION", undefined, 422, null],
    ["what nobody handles", "NO_HANDLER", undefined, 404, null],
  ])("tells the relay of %s", async (_, code, data, status, after) => {
    const thrown = code === undefined
      ? new Error("secret")
      : new CatgaError(systemFault(code as "VALIDATION", "secret", data));
    const reply = await receive(() => Promise.reject(thrown))(await request());
    expect([reply.status, reply.headers.get("retry-after")]).toEqual([status, after]);
    expect(await reply.text()).not.toContain("secret");
  });

  test("wants a secret that is one", () => {
    const take = () => Promise.resolve();
    const runtime = { crypto, clock };
    expect(() => pushReceiver({ runtime, secrets: [], take })).toThrow(RangeError);
    expect(() => pushReceiver({ runtime, secrets: ["short"], take })).toThrow(RangeError);
  });
});

describe("a relay", () => {
  /** A relay of a queue in memory whose endpoint answers as it is told. */
  async function open(answer: (item: PushedItem, init: FetchInit) => Response | Promise<Response>) {
    const logs: LogEntry[] = [];
    const letters: RefusedItem[] = [];
    const posted: string[] = [];
    const queue = memoryQueue({ clock });
    await queue.subscribe("t", "g");
    const runtime: Runtime = {
      ...quiet(logs),
      fetch: async (_url, init) => {
        const item = readPushed(init.body as string)!;
        posted.push(`${item.id} ${item.attempt}`);
        return await answer(item, init) as never;
      },
    };
    const options: PushRelayOptions = {
      runtime,
      queue,
      topic: "t",
      group: "g",
      endpoint: "http://node/push",
      secret: SECRET,
      timeout: 10_000,
      longest: 50,
      redeliver: [1, 1],
      deadLetters: { put: (item) => Promise.resolve(void letters.push(item)) },
    };
    const left = async (): Promise<number> => (await queue.backlog("t", "g")).items;
    const done = async (): Promise<void> => {
      for (let looks = 0; looks < 500 && await left() > 0; looks++) await sleep(10);
      expect(await left()).toBe(0);
    };
    return { options, queue, posted, letters, logs, left, done };
  }
  const status = (code: number, headers = {}): Response =>
    new Response(code === 204 ? null : "why", { status: code, headers });

  test.each([200, 204])("acknowledges what was answered with %d", async (code) => {
    const patience = new Set<number | undefined>();
    const { options, queue, posted, done, letters } = await open(({ within }) => {
      patience.add(within);
      return status(code);
    });
    await using _relay = pushRelay(options);
    await queue.push("t", ["1", "2"].map((id) => ({ id, payload: Uint8Array.of(1) })));
    await done();
    expect(posted.toSorted()).toEqual(["1 1", "2 1"]);
    expect([...patience]).toEqual([options.timeout!]);
    expect(letters).toEqual([]);
  });

  test.each([0, 408, 425, 429, 500, 502, 503])(
    "tries again for as long as it takes after %d",
    async (code) => {
      const { options, queue, posted, done, letters } = await open(({ attempt }) => {
        if (attempt > 7) return status(204);
        if (code === 0) throw new TypeError("refused");
        return status(code, { "retry-after": "0" });
      });
      await using _relay = pushRelay({ ...options, longest: 1 });
      await queue.push("t", [{ id: "1", payload: "" }]);
      await done();
      expect(posted).toEqual(Array.from({ length: 8 }, (_, at) => `1 ${at + 1}`));
      expect(letters).toEqual([]);
    },
  );

  test.each([
    [301, /leads to/],
    [400, /answered 400$/],
    [401, /secret.*clocks/],
    [403, /let the endpoint take/i],
    [404, /address.*handlers/],
    [405, /POST/],
    [410, /another endpoint/],
    [451, /answered 451$/],
  ])(
    "what is refused with %d a few times is a dead letter, and it is said what to do",
    async (code, advice) => {
      const { options, queue, posted, done, letters, logs } = await open(() =>
        status(code, { "retry-after": "0" })
      );
      await using _relay = pushRelay(options);
      await queue.push("t", [{ id: "1", key: "k", payload: "p" }]);
      await done();
      expect(posted).toEqual(["1 1", "1 2", "1 3"]);
      expect(letters).toMatchObject([
        { topic: "t", group: "g", id: "1", key: "k", payload: "p", attempts: 3, handedOut: 3 },
      ]);
      expect(letters[0]!.fault.data).toEqual({ status: code });
      expect(letters[0]!.fault.message).toMatch(advice);
      const said = logs.filter(({ event }) => event === "push.refused");
      expect(said.map(({ level }) => level)).toEqual(["warn"]);
      expect(said[0]!.message).toMatch(advice);
    },
  );

  test("what failed otherwise is no refusal, and what was taken ends the count", async () => {
    const answers = [503, 503, 503, 404, 503, 404, 204];
    const { options, queue, posted, done, letters } = await open(() =>
      status(answers.shift() ?? 204, { "retry-after": "0" })
    );
    await using _relay = pushRelay({ ...options, longest: 1 });
    await queue.push("t", [{ id: "1", payload: "" }]);
    await done();
    answers.push(404, 404, 204);
    await queue.push("t", [{ id: "2", payload: "" }]);
    await done();
    expect([posted.length, letters]).toEqual([10, []]);
  });

  test.each([413, 422])("buries at once what is refused with %d", async (code) => {
    const { options, queue, posted, done, letters } = await open(() => status(code));
    await using _relay = pushRelay(options);
    await queue.push("t", [{ id: "1", payload: "" }]);
    await done();
    expect(posted).toEqual(["1 1"]);
    expect(letters.map(({ id, fault }) => `${id} ${fault.code}`)).toEqual([
      code === 422 || code === 413 ? "1 VALIDATION" : "",
    ]);
  });

  test("begins its group", async () => {
    const { options, queue, done, posted } = await open(() => status(204));
    await queue.unsubscribe("t", "g");
    await using _relay = pushRelay(options);
    await sleep(1);
    await queue.push("t", [{ id: "1", payload: "" }]);
    await done();
    expect(posted).toEqual(["1 1"]);
  });

  test.each([["7", 7000], ["0", 0], ["999999999", 604_800_000], ["Fri, 31 Dec 2027 23:59:59 GMT", 25 + 25]])(
    "waits for as long as Retry-After says: %s",
    async (after, wanted) => {
      const { options, queue } = await open(() => status(429, { "retry-after": after }));
      const rests: number[] = [];
      const noted: Queue = {
        ...queue,
        subscribe: (topic, group, asked) => queue.subscribe(topic, group, asked),
        pull: async (topic, group, asked) =>
          (await queue.pull(topic, group, asked)).map((item): Delivery => ({
            id: item.id,
            key: item.key,
            payload: item.payload,
            attempt: item.attempt,
            pushed: item.pushed,
            ack: () => item.ack(),
            extend: (lease) => item.extend(lease),
            retry: (delay) => item.retry(rests.push(delay) > 0 ? 3_600_000 : 0),
          })),
      };
      // Chance gives half of a rest, which is as long as the longest.
      const runtime: Runtime = { ...options.runtime, random: { u32: () => 2 ** 31 } };
      await using _relay = pushRelay({ ...options, runtime, queue: noted });
      await queue.push("t", [{ id: "1", payload: "" }]);
      for (let looks = 0; looks < 500 && rests.length === 0; looks++) await sleep(10);
      expect(rests).toEqual([wanted]);
    },
  );

  test("what cannot be buried is not lost", async () => {
    const { options, queue, posted, done, letters, logs } = await open(() => status(422));
    let tries = 0;
    const put = (item: RefusedItem) =>
      tries++ === 0 ? Promise.reject(new Error("full")) : options.deadLetters.put(item);
    await using _relay = pushRelay({ ...options, deadLetters: { put } });
    await queue.push("t", [{ id: "1", payload: "" }]);
    await done();
    expect([posted.length, letters.length]).toEqual([2, 1]);
    expect(logs.map(({ event }) => event)).toContain("push.unburied");
  });

  test("an answer that does not come in time is none", async () => {
    const given: AbortSignal[] = [];
    const { options, queue, posted, done } = await open(({ attempt }, { signal }) => {
      if (attempt > 1) return status(204);
      given.push(signal!);
      return new Promise((_, reject) =>
        signal!.addEventListener("abort", () => reject(new Error("aborted")))
      );
    });
    await using _relay = pushRelay({ ...options, timeout: 500 });
    await queue.push("t", [{ id: "1", payload: "" }]);
    await done();
    expect(posted).toEqual(["1 1", "1 2"]);
    expect(given[0]!.aborted).toBe(true);
  });

  test("those of a key come one after the other, whatever becomes of them", async () => {
    const { options, queue, posted, done } = await open(({ id, attempt }) =>
      status(id === "1" && attempt < 3 ? 503 : 204)
    );
    await using _relay = pushRelay(options);
    await queue.push("t", ["1", "2", "3"].map((id) => ({ id, key: "k", payload: "" })));
    await done();
    expect(posted).toEqual(["1 1", "1 2", "1 3", "2 1", "3 1"]);
  });

  test("posts no more than it may at a time, and finishes those when it ends", async () => {
    let busy = 0;
    let most = 0;
    const { options, queue, posted, left } = await open(async () => {
      most = Math.max(most, ++busy);
      await sleep(20);
      busy--;
      return status(204);
    });
    const relay = pushRelay({ ...options, concurrency: 3 });
    await queue.push("t", Array.from({ length: 20 }, (_, at) => ({ id: `${at}`, payload: "" })));
    while (posted.length < 7) await sleep(1);
    await relay[Symbol.asyncDispose]();
    expect([most, busy]).toEqual([3, 0]);
    expect(await left()).toBe(20 - posted.length);
    const { leased } = await queue.backlog("t", "g");
    expect(leased).toBe(0);
  });
});

describe("a relay and a receiver over Redis", () => {
  let stand: RedisStand;
  beforeAll(async () => {
    stand = await openStand();
  });
  afterAll(() => stand[Symbol.asyncDispose]());

  test("bring each item to a node that does not poll", async () => {
    await using redis = stand.open();
    const queue = redisQueue(redis);
    await queue.subscribe("t", "g");
    const taken: string[] = [];
    const runtime = quiet();
    const fetch = pushReceiver({
      runtime,
      secrets: [OTHER, SECRET],
      take: ({ id, payload, attempt }) => {
        if (Number(id) % 5 === 0 && attempt === 1) return Promise.reject(new Error("not now"));
        return Promise.resolve(void taken.push(`${id} ${payload}`));
      },
    });
    const server = await serve(fetch, { port: 0 });
    const put = () => Promise.reject(new Error("nothing is to be buried"));
    const relay = pushRelay({
      runtime,
      queue,
      topic: "t",
      group: "g",
      endpoint: server.url,
      secret: SECRET,
      deadLetters: { put },
      longest: 50,
    });
    const ids = Array.from({ length: 30 }, (_, at) => `${at}`);
    await queue.push("t", ids.map((id) => ({ id, payload: `of ${id}` })));
    for (let looks = 0; looks < 500 && (await queue.backlog("t", "g")).items > 0; looks++) await sleep(10);
    await relay[Symbol.asyncDispose]();
    await server.stop();
    expect(taken.toSorted()).toEqual(ids.map((id) => `${id} of ${id}`).toSorted());
  });
});
