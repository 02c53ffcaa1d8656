/** Clients that are there already, in the place of the REST API. */

import { createClient } from "@redis/client";
import { Redis } from "@upstash/redis";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Commander, createCommander } from "../../adapters/redis/commander.ts";
import { readyWire, type RedisClientLike, type RedisSender } from "../../adapters/redis/ready.ts";
import { script } from "../../adapters/redis/scripts.ts";
import { failed, openStand, quiet, type RedisStand, TOKEN } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

const commanderOf = (client: RedisClientLike, timeout = 2000): Commander =>
  createCommander(readyWire(client, quiet()), { runtime: quiet(), timeout });

const { RedisClient } =
  (globalThis as { Bun?: { RedisClient?: new (url: string) => RedisSender & { close(): void } } }).Bun ?? {};

/** A client of node-redis to the stand's server. */
async function nodeRedis(url = stand.server.url) {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on("error", () => {});
  await client.connect();
  return { client, close: () => client.destroy() };
}

interface Opened {
  readonly client: RedisClientLike;
  readonly close: () => void;
}
const kinds: Record<string, () => Promise<Opened>> = {
  "node-redis": nodeRedis,
  "node-redis with RESP2": async () => {
    const client = createClient({ url: stand.server.url, RESP: 2 });
    await client.connect();
    return { client, close: () => client.destroy() };
  },
  "a client like ioredis": async () => {
    const { client, close } = await nodeRedis();
    const options = { autoResendUnfulfilledCommands: false };
    const call = (name: string, ...words: string[]): Promise<unknown> => client.sendCommand([name, ...words]);
    return {
      client: { options, call, sendCommand: () => Promise.reject(new Error("takes a command object")) },
      close,
    };
  },
  "one that only sends": async () => {
    const { client, close } = await nodeRedis();
    return { client: { send: (name, words) => client.sendCommand([name, ...words]) }, close };
  },
  "Upstash's": () =>
    Promise.resolve({ client: new Redis({ url: stand.url, token: TOKEN }), close: () => {} }),
};
if (RedisClient !== undefined) {
  kinds["Bun's"] = () => {
    const client = new RedisClient(stand.server.url);
    return Promise.resolve({ client, close: () => client.close() });
  };
}

describe.each(Object.keys(kinds))("%s", (kind) => {
  test("commands, scripts and errors", async () => {
    const { client, close } = await kinds[kind]!();
    const redis = commanderOf(client);
    const key = `ready/${kind}`;
    expect(await redis.send(["SET", key, "ä€😀"])).toBe("OK");
    expect(await redis.send(["GET", key])).toBe("ä€😀");
    expect(await redis.send(["GET", `${key}/none`])).toBeNull();
    const many = script(
      `test.${kind}`,
      "return { KEYS[1], 5, false, {}, { '5', ARGV[1] }, redis.status_reply('FINE') }",
    );
    const answer = [key, 5, null, [], ["5", `{"a":1}`], "FINE"];
    expect(await redis.run(many, [key], [`{"a":1}`])).toEqual(answer);
    expect(await Promise.all([redis.run(many, [key], [`{"a":1}`]), redis.send(["INCR", `${key}/n`])]))
      .toEqual([answer, 1]);
    await redis.send(["SCRIPT", "FLUSH"]);
    expect(await redis.run(many, [key], [`{"a":1}`])).toEqual(answer);
    expect(await failed(redis.send(["INCR", key]))).toBe("INTERNAL");
    expect(await failed(redis.run(script("test.full", "return redis.error_reply('OOM full')"), []))).toBe(
      "OVERLOADED",
    );
    expect(await Promise.all([failed(redis.send(["INCR", key])), failed(redis.send(["PING"]))])).toEqual([
      "INTERNAL",
      "ok",
    ]);
    await redis[Symbol.asyncDispose]();
    close();
  });
});

describe("a client that is away", () => {
  test("node-redis: what never left it was not done, what did may have been", async () => {
    await using own = await openStand();
    const { client } = await nodeRedis(own.server.url);
    const redis = commanderOf(client);
    await redis.send(["PING"]);
    own.server.pause();
    const code = failed(redis.send(["INCR", "n"]));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await own.server.kill();
    expect(await code).toBe("TRANSPORT");
    expect(await failed(redis.send(["INCR", "n"]))).toBe("UNAVAILABLE");
  });

  test("of several commands each has its own end", async () => {
    const words: string[][] = [];
    const redis = commanderOf({
      send: (name, rest) => {
        words.push([name, ...rest]);
        if (name === "LOST") return Promise.reject(new Error("lost, with a secret"));
        if (name === "MAP") return Promise.resolve(new Map());
        if (name === "THROWS") throw new Error("at once");
        return Promise.resolve(name);
      },
    });
    const codes = ["FINE", "LOST", "MAP", "THROWS"].map((name) => failed(redis.send([name])));
    expect(await Promise.all(codes)).toEqual(["ok", "TRANSPORT", "TRANSPORT", "TRANSPORT"]);
    expect(words.map(([name]) => name)).toEqual(["FINE", "LOST", "MAP", "THROWS"]);
    const error: Error = await redis.send(["LOST"]).then(() => new Error("ok"), (thrown) => thrown);
    expect(error.message).toBe("Cannot send LOST: the client failed (Error); it may have been done");
  });

  test("what clients answer in their own ways is read as Redis meant it", async () => {
    const answers = [
      undefined,
      false,
      true,
      5n,
      new TextEncoder().encode("ä"),
      [undefined, [true]],
      2n ** 60n,
      1.5,
    ];
    const redis = commanderOf({ send: (_, [at]) => Promise.resolve(answers[Number(at)]) });
    const read = answers.map((_, at) => redis.send(["ANSWER", at]).catch((error) => error.code));
    expect(await Promise.all(read)).toEqual([null, null, 1, 5, "ä", [null, [1]], "TRANSPORT", "TRANSPORT"]);
  });

  test("one that never answers has its time", async () => {
    const redis = commanderOf({ send: () => new Promise(() => {}) }, 50);
    expect(await failed(redis.send(["PING"]))).toBe("TRANSPORT");
  });
});

describe("clients of a cluster", () => {
  const source = script("test.cluster", "return ARGV[1]");

  test("no script goes with one key alone, or it would be led to where there is nothing", async () => {
    const sent: string[][] = [];
    const options = { retryDelayOnFailover: 0, redisOptions: { autoResendUnfulfilledCommands: false } };
    const call = (...words: string[]): Promise<unknown> => {
      sent.push(words);
      return Promise.resolve([words.at(-1)!, "done"]);
    };
    const redis = commanderOf({ isCluster: true, options, call } as RedisClientLike);
    expect(await redis.run(source, ["{t}"], ["a"])).toBe("done");
    expect(await redis.run(source, ["{t}:1", "{t}:2"], ["a"])).toBe("done");
    expect(sent.map((words) => words.slice(2, -1))).toEqual([
      ["2", "{t}", "{t}:never", "a"],
      ["2", "{t}:1", "{t}:2", "a"],
    ]);
  });

  test("like node-redis: a command goes to who has its first key", async () => {
    const asked: unknown[] = [];
    const redis = commanderOf({
      getRandomNode: () => {},
      sendCommand: (key, _isReadonly, words) => {
        asked.push(key);
        return Promise.resolve(words[0] === "EVALSHA" ? [words.at(-1)!, "done"] : "done");
      },
    });
    expect(await redis.run(source, ["{t}", "{t}:2"], ["a"])).toBe("done");
    expect(await redis.run(source, [], ["a"])).toBe("done");
    expect(await redis.send(["GET", "k"])).toBe("done");
    expect(asked).toEqual(["{t}", undefined, "k"]);
  });
});

describe("clients that cannot be used", () => {
  test.each([
    ["with nothing to send by", {}],
    ["of ioredis that sends again", { call: () => {}, options: { autoResendUnfulfilledCommands: true } }],
    ["of ioredis as it is made by default", { call: () => {}, options: {} }],
    ["of Upstash without an address", { createScript: () => {}, client: {} }],
    ["of an ioredis cluster as it is made by default", {
      isCluster: true,
      call: () => {},
      options: { retryDelayOnFailover: 100, redisOptions: {} },
    }],
    ["of an ioredis cluster whose servers are sent commands again", {
      isCluster: true,
      call: () => {},
      options: { retryDelayOnFailover: 0, redisOptions: {} },
    }],
  ])("%s", (_, client) => {
    expect(() => readyWire(client as RedisClientLike, quiet())).toThrow(/^Cannot use the client for Redis/);
  });

  test("texts that were read as something else are found out", async () => {
    const { client, close } = await nodeRedis();
    const read = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(read)
        : typeof value === "string" && /^\d+$/.test(value)
        ? Number(value)
        : value;
    const redis = commanderOf({ send: (name, words) => client.sendCommand([name, ...words]).then(read) });
    expect(await failed(redis.run(script("test.read", "return ARGV[1]"), [], ["5"]))).toBe("TRANSPORT");
    close();
  });
});
