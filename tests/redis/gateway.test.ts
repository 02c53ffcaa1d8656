/** The gateway against the public documentation of the Upstash REST API. */

import { type RedisGateway, redisGateway } from "@catga/catga/redis/gateway";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isSame } from "../../adapters/redis/gateway/access.ts";
import { type RedisServer, startRedis } from "./server.ts";
import { failed, openCommander, openGateway, quiet, READ_ONLY, sleep, TOKEN } from "./support.ts";

let server: RedisServer;
let gateway: RedisGateway;
const runtime = quiet();
beforeAll(async () => {
  server = await startRedis();
  gateway = await redisGateway({ redis: server.url, token: TOKEN, readOnlyToken: READ_ONLY, runtime });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

interface Ask {
  readonly method?: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(path: string, { method = "POST", token = TOKEN, body, headers = {} }: Ask = {}) {
  const init = {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body }),
  };
  const answer = await gateway.fetch(new Request(`http://gateway${path}`, init));
  return {
    status: answer.status,
    bytes: new Uint8Array(await answer.arrayBuffer()),
    headers: answer.headers,
  };
}

async function said(path: string, options: Ask = {}): Promise<[status: number, said: unknown]> {
  const { status, bytes } = await ask(path, options);
  return [status, JSON.parse(new TextDecoder().decode(bytes))];
}

const send = (command: unknown, options: Ask = {}) =>
  said("/", { body: JSON.stringify(command), ...options });

describe("commands", () => {
  test("in the body", async () => {
    expect(await send(["SET", "foo", "bar", "EX", 100])).toEqual([200, { result: "OK" }]);
    expect(await send(["GET", "foo"])).toEqual([200, { result: "bar" }]);
    expect(await send(["GET", "nothing"])).toEqual([200, { result: null }]);
    expect(await send(["INCRBY", "n", 137])).toEqual([200, { result: 137 }]);
    expect(await send(["MGET", "foo", "nothing", "n"])).toEqual([200, { result: ["bar", null, "137"] }]);
    expect(await send(["EVAL", "return {1,{'a',{}}}", 0])).toEqual([200, { result: [1, ["a", []]] }]);
    expect(await send(["HSET", "h", "a", 1, "b", true])).toEqual([200, { result: 2 }]);
    expect(await send(["HGETALL", "h"])).toEqual([200, { result: ["a", "1", "b", "true"] }]);
  });

  test("in the path, with the value as body and the rest behind it", async () => {
    const get = { method: "GET" };
    expect(await said("/set/p/1/EX/100", get)).toEqual([200, { result: "OK" }]);
    expect(await said("/get/p", get)).toEqual([200, { result: "1" }]);
    expect(await said("/set/p?EX=50&NX=", { body: '{"a":1}' })).toEqual([200, { result: null }]);
    expect(await said("/set/p?EX=50", { body: '{"a":1}', method: "PUT" })).toEqual([200, { result: "OK" }]);
    expect(await said(`/get/p?_token=${TOKEN}`, get)).toEqual([200, { result: '{"a":1}' }]);
    expect((await said("/ttl/p", get))[1]).toEqual({ result: 50 });
    expect(await said("/set/a%2Fb%20%25/%0D%0A", get)).toEqual([200, { result: "OK" }]);
    expect(await send(["GET", "a/b %"])).toEqual([200, { result: "\r\n" }]);
    expect((await said("/get/%ff", get))[0]).toBe(400);
  });

  test.each([
    ["no JSON", "nonsense"],
    ["no list", "{}"],
    ["an empty list", "[]"],
    ["an argument that is none", `["SET","a",{}]`],
    ["nothing", ""],
  ])("a body that is %s is refused", async (_, body) => {
    const [status, { error }] = await said("/", { body }) as [number, { error: string }];
    expect([status, error.slice(0, 3)]).toEqual([400, "ERR"]);
  });

  test("errors of Redis have status 400", async () => {
    const [status, answer] = await send(["GET"]);
    expect([status, answer]).toEqual([400, { error: "ERR wrong number of arguments for 'get' command" }]);
    expect((await send(["NOSUCH", "x"]))[0]).toBe(400);
    expect((await said("/", { method: "DELETE" }))[0]).toBe(405);
    expect((await said("/pipeline", { method: "GET" }))[0]).toBe(405);
  });

  test.each([
    "MULTI",
    "SELECT 1",
    "BLPOP a 0",
    "xread BLOCK 0 STREAMS a 0",
    "SHUTDOWN",
    "client kill",
    "subscribe a",
  ])(
    "what would block or change the shared connection is refused: %s",
    async (command) => {
      const [status, answer] = await send(command.split(" "));
      expect([status, String((answer as { error: string }).error).slice(0, 16)]).toEqual([
        400,
        "ERR Command is n",
      ]);
    },
  );
});

describe("several commands", () => {
  const list = (commands: unknown): Ask => ({ body: JSON.stringify(commands) });

  test("a pipeline answers each, also where one fails", async () => {
    const commands = [["SET", "k1", "x"], ["SETEX", "k2", 13, "z"], ["INCR", "k1"], ["MULTI"], [
      "ZADD",
      "z",
      11,
      "a",
      22,
      "b",
    ]];
    const [status, answers] = await said("/pipeline", list(commands)) as [number, Record<string, unknown>[]];
    expect(status).toBe(200);
    expect(answers.map((each) => each["result"] ?? Object.keys(each))).toEqual(["OK", "OK", ["error"], [
      "error",
    ], 2]);
    expect(answers[2]).toEqual({ error: "ERR value is not an integer or out of range" });
  });

  test("a transaction is done at one instant, or refused as a whole", async () => {
    const [status, answers] = await said(
      "/multi-exec",
      list([["SET", "t", "x"], ["INCR", "t"], ["GET", "t"]]),
    );
    expect([status, answers]).toEqual([200, [
      { result: "OK" },
      { error: "ERR value is not an integer or out of range" },
      { result: "x" },
    ]]);
    const [refused, { error }] = await said("/multi-exec", list([["SET", "t", "y"], ["NOSUCH"]])) as [
      number,
      { error: string },
    ];
    expect([refused, error.slice(0, 3)]).toEqual([400, "ERR"]);
    expect((await said("/multi-exec", list([["SET", "t", "y"], ["BLPOP", "t", 0]])))[0]).toBe(400);
    expect(await send(["GET", "t"])).toEqual([200, { result: "x" }]);
  });

  test("nothing comes between the commands of a transaction", async () => {
    const two = `[["INCR","between"],["INCR","between"]]`;
    const many = await Promise.all(
      Array.from({ length: 60 }, (_, at) => said(at % 2 === 0 ? "/multi-exec" : "/pipeline", { body: two })),
    );
    const pairs = many.map(([, answers]) => (answers as { result: number }[]).map(({ result }) => result));
    expect(pairs.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, at) => at + 1));
    expect(pairs.every(([first, second]) => second === first! + 1)).toBe(true);
  });

  test.each(["/pipeline", "/multi-exec"])("%s refuses what is no list of commands", async (path) => {
    for (const body of ["", "{}", "[]", "[[]]", `["GET","a"]`, `[["GET",null]]`]) {
      expect((await said(path, { body }))[0]).toBe(400);
    }
  });
});

describe("other forms", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);

  test("base64 brings back each byte", async () => {
    expect((await said("/set/bin", { body: bytes }))[1]).toEqual({ result: "OK" });
    const headers = { "upstash-encoding": "base64" };
    expect((await send(["GET", "bin"], { headers }))[1]).toEqual({
      result: btoa(String.fromCharCode(...bytes)),
    });
    expect((await send(["MSET", "o", "OK"], { headers }))[1]).toEqual({ result: "OK" });
    expect((await send(["MGET", "o", "none"], { headers }))[1]).toEqual({ result: [btoa("OK"), null] });
    expect((await send(["PING"], { headers }))[1]).toEqual({ result: btoa("PONG") });
    expect((await said("/pipeline", { body: `[["GET","o"]]`, headers }))[1]).toEqual([{
      result: btoa("OK"),
    }]);
    const transaction = `[["GET","bin"],["SET","o","ü"],["GET","o"],["LPUSH","o",1]]`;
    expect(await said("/multi-exec", { body: transaction, headers })).toEqual([200, [
      { result: btoa(String.fromCharCode(...bytes)) },
      { result: "OK" },
      { result: "w7w=" },
      { error: expect.stringMatching(/^WRONGTYPE/) as unknown },
    ]]);
  });

  test("JSON has bytes that are no text replaced, and errors within lists as texts", async () => {
    const text = new TextDecoder().decode(bytes);
    // Long enough to come in parts, whose ends are within letters.
    const long = "aü€😀".repeat(50_000);
    expect((await said("/set/bytes", { body: bytes }))[1]).toEqual({ result: "OK" });
    expect((await said("/set/long", { body: new TextEncoder().encode(long) }))[1]).toEqual({ result: "OK" });
    const commands = [["GET", "bytes"], ["MGET", "bytes", "long", "none"], ["GET", "long"]];
    const answers = [{ result: text }, { result: [text, long, null] }, { result: long }];
    for (const path of ["/pipeline", "/multi-exec"]) {
      expect(await said(path, { body: JSON.stringify(commands) })).toEqual([200, answers]);
    }
    const list = ["EVAL", "return {redis.error_reply('ERR ü'),{redis.status_reply('fine'),'a'}}", 0];
    expect(await send(list)).toEqual([200, { result: ["ERR ü", ["fine", "a"]] }]);
    const headers = { "upstash-encoding": "base64" };
    expect(await send(list, { headers })).toEqual([200, {
      result: ["RVJSIMO8", [btoa("fine"), btoa("a")]],
    }]);
  });

  test("a body that is no UTF-8 is refused", async () => {
    const body = Uint8Array.of(...new TextEncoder().encode(`["ECHO","`), 0xff, 0x22, 0x5d);
    expect((await said("/", { body }))[0]).toBe(400);
    expect(await send(["ECHO", "\ufeffü"])).toEqual([200, { result: "\ufeffü" }]);
  });

  test("RESP2 is what Redis itself would say", async () => {
    const headers = { "upstash-response-format": "resp2" };
    const text = async (command: unknown) =>
      new TextDecoder().decode((await ask("/", { body: JSON.stringify(command), headers })).bytes);
    expect(await text(["SET", "r", "bar"])).toBe("+OK\r\n");
    expect(await text(["GET", "r"])).toBe("$3\r\nbar\r\n");
    expect(await text(["EVAL", "return {1,'a',false,{}}", 0])).toBe("*4\r\n:1\r\n$1\r\na\r\n$-1\r\n*0\r\n");
    expect(await text(["GET"])).toBe("-ERR wrong number of arguments for 'get' command\r\n");
    expect((await send(["GET", "r"], { headers: { ...headers, "upstash-encoding": "base64" } }))[0]).toBe(
      400,
    );
    expect((await send(["GET", "r"], { headers: { "upstash-response-format": "xml" } }))[0]).toBe(400);
    expect((await said("/multi-exec", { body: `[["GET","r"]]`, headers }))[0]).toBe(400);
  });
});

describe("tokens", () => {
  test.each([
    "",
    "x",
    TOKEN.slice(0, -1),
    `${TOKEN}x`,
    TOKEN.toUpperCase(),
    "undefined",
    `${READ_ONLY}${TOKEN}`,
  ])(
    "nobody comes in with %s",
    async (token) => {
      expect((await send(["GET", "foo"], { token }))[0]).toBe(401);
      expect(
        (await said(`/get/foo?_token=${encodeURIComponent(token)}`, {
          headers: { authorization: "" },
          token,
        }))[0],
      ).toBe(401);
      expect(isSame(token, TOKEN)).toBe(false);
    },
  );

  test("a read-only one reads", async () => {
    const read = { token: READ_ONLY };
    await send(["SET", "seen", "1"]);
    await send(["XADD", "x", "*", "a", "1"]);
    expect(await send(["GET", "seen"], read)).toEqual([200, { result: "1" }]);
    expect(await send(["PING"], read)).toEqual([200, { result: "PONG" }]);
    expect((await send(["XINFO", "STREAM", "x"], read))[0]).toBe(200);
    const refused = [
      ["SET", "seen", 2],
      ["DEL", "seen"],
      ["SCAN", 0],
      ["KEYS", "*"],
      ["EVAL", "return 1", 0],
      ["FLUSHALL"],
      ["CONFIG", "GET", "*"],
      ["PUBLISH", "a", "b"],
      ["NOSUCH"],
      ["XGROUP", "CREATE", "x", "g", "0"],
      ["GETDEL", "seen"],
      ["SORT", "seen", "STORE", "y"],
    ];
    for (const command of refused) {
      const [status, { error }] = await send(command, read) as [number, { error: string }];
      expect([command, status, error.slice(0, 6)]).toEqual([command, 400, "NOPERM"]);
    }
    // A word that is no subcommand says nothing about those that are.
    await send(["XINFO", "NOSUCH", "x"], read);
    expect((await send(["XINFO", "CONSUMERS", "x", "g"], read))[1]).not.toHaveProperty(
      "error",
      expect.stringMatching(/^NOPERM/),
    );
    const [, answers] = await said("/pipeline", { ...read, body: `[["GET","seen"],["SET","seen",3]]` });
    expect(answers).toMatchObject([{ result: "1" }, {}]);
    expect((await said("/multi-exec", { ...read, body: `[["GET","seen"],["SET","seen",3]]` }))[0]).toBe(400);
    expect(await send(["GET", "seen"])).toEqual([200, { result: "1" }]);
  });

  test.each(["", "short", "with spaces in the middle", "zeile\numbruch-und-mehr"])(
    "a gateway is not made with the token %j",
    async (token) => {
      expect(await failed(redisGateway({ redis: server.url, token }))).toBe("VALIDATION");
    },
  );
});

test.each<[string | readonly string[]]>([
  [""],
  ["nonsense"],
  ["http://127.0.0.1:6379"],
  [[]],
  [["redis://127.0.0.1:1", "127.0.0.1:2"]],
])(
  "a gateway is not made with the address %j",
  async (redis) => {
    expect(await failed(redisGateway({ redis, token: TOKEN, runtime }))).toBe("VALIDATION");
  },
);

describe("limits", () => {
  test("bytes, commands and requests", async () => {
    await using small = await redisGateway({
      redis: server.url,
      token: TOKEN,
      limit: 100,
      commands: 2,
      requests: 1,
      runtime,
    });
    const status = async (path: string, body: string) => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      return (await small.fetch(new Request(`http://gateway${path}`, { method: "POST", headers, body })))
        .status;
    };
    expect(await status("/set/a", "x".repeat(100))).toBe(200);
    expect(await status("/set/a", "x".repeat(101))).toBe(413);
    expect(await status("/pipeline", `[["PING"],["PING"],["PING"]]`)).toBe(413);
    const two = await Promise.all([status("/", `["PING"]`), status("/", `["PING"]`)]);
    expect(two).toEqual([200, 429]);
    expect(await status("/", `["PING"]`)).toBe(200);
    expect(await status("/multi-exec", `[["PING"],["PING"]]`)).toBe(200);
    expect(await status("/multi-exec", `[["PING"],["PING"],["PING"]]`)).toBe(413);
    expect(await status("/pipeline", `[["PING"],["PING"]]`)).toBe(200);
  });

  test.each([
    ["says how long it is", 100, 100, 200],
    ["says that it is longer than allowed", 101, 101, 413],
    ["says that it is shorter than it is", 50, 101, 413],
    ["says nothing of its length", undefined, 100, 200],
    ["says nothing of its length, which is too much", undefined, 101, 413],
    ["says of its length what is no number", "many", 101, 413],
  ])("a body that %s", async (_, length, size, status) => {
    await using small = await redisGateway({ redis: server.url, token: TOKEN, limit: 100, runtime });
    const headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` };
    if (length !== undefined) headers["content-length"] = String(length);
    const body = new Blob(["x".repeat(size)]).stream();
    const init = { method: "POST", headers, body, duplex: "half" };
    const { status: found } = await small.fetch(new Request("http://gateway/set/sized", init as RequestInit));
    expect(found).toBe(status);
    if (status === 200) expect(await send(["STRLEN", "sized"])).toEqual([200, { result: size }]);
  });

  test("a body that does not end is left at the first byte too much", async () => {
    await using small = await redisGateway({ redis: server.url, token: TOKEN, limit: 100, runtime });
    let [pulled, left] = [0, false];
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (++pulled < 1000) controller.enqueue(new Uint8Array(40));
        else controller.close();
      },
      cancel: () => void (left = true),
    });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const init = { method: "POST", headers, body, duplex: "half" };
    const request = new Request("http://gateway/set/endless", init as RequestInit);
    expect((await small.fetch(request)).status).toBe(413);
    expect([pulled < 10, left]).toEqual([true, true]);
  });

  test("what Redis leaves without an answer keeps its place, so that no more of it gathers", async () => {
    await using own = await startRedis();
    const options = { redis: own.url, token: TOKEN, readOnlyToken: READ_ONLY, runtime };
    await using small = await redisGateway({ ...options, requests: 2, timeout: 100 });
    const status = async (command: unknown, token = TOKEN) => {
      const init = {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify(command),
      };
      return (await small.fetch(new Request("http://gateway", init))).status;
    };
    own.pause();
    // What a token may do is asked of Redis too.
    expect(await Promise.all([status(["INCR", "n"]), status(["GET", "n"], READ_ONLY)])).toEqual([502, 502]);
    expect(await status(["INCR", "n"])).toBe(429);
    own.resume();
    let answered = 0;
    for (let tries = 0; tries < 100 && answered !== 200; tries++) {
      await sleep(10);
      answered = await status(["GET", "n"]);
    }
    expect(await Promise.all([status(["GET", "n"]), status(["GET", "n"])])).toEqual([200, 200]);
  });

  test("Redis is not reached: no gateway, and no password in what it says", async () => {
    const redis = "redis://me:secret-password@127.0.0.1:1";
    const made = redisGateway({ redis, token: TOKEN, timeout: 100, runtime });
    const error: unknown = await made.catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "UNAVAILABLE" });
    expect(`${(error as Error).message}${(error as Error).stack}`).not.toContain("secret-password");
  });
});

describe("subscriptions", () => {
  async function* lines(response: Response): AsyncGenerator<string> {
    let text = "";
    for await (
      const chunk of response.body!.pipeThrough(new TextDecoderStream() as never) as never as AsyncIterable<
        string
      >
    ) {
      const parts = (text + chunk).split("\n");
      text = parts.pop()!;
      yield* parts.filter((line) => line.startsWith("data: "));
    }
  }

  const open = (path: string, token = TOKEN) =>
    gateway.fetch(new Request(`http://gateway${path}`, { headers: { authorization: `Bearer ${token}` } }));

  test("tell what is published, until they are left", async () => {
    const response = await open("/subscribe/chat/news");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const told = lines(response);
    const next = async () => (await told.next()).value;
    expect([await next(), await next()]).toEqual(["data: subscribe,chat,1", "data: subscribe,news,2"]);
    expect(await said("/publish/chat/hello", { method: "GET" })).toEqual([200, { result: 1 }]);
    await send(["PUBLISH", "news", "two\nlines"]);
    expect([await next(), await next(), await next()]).toEqual([
      "data: message,chat,hello",
      "data: message,news,two",
      "data: lines",
    ]);
    await told.return(undefined);
    let heard: unknown;
    for (let tries = 0; tries < 100 && heard !== 0; tries++) {
      await sleep(10);
      heard = ((await send(["PUBLISH", "chat", "anyone?"]))[1] as { result: number }).result;
    }
    expect(heard).toBe(0);
  });

  test("by pattern, also with a read-only token", async () => {
    const told = lines(await open("/psubscribe/a.*", READ_ONLY));
    expect((await told.next()).value).toBe("data: psubscribe,a.*,1");
    await send(["PUBLISH", "a.b", "x"]);
    expect((await told.next()).value).toBe("data: pmessage,a.*,a.b,x");
    await told.return(undefined);
  });

  test("do not wait for a Redis that says nothing, and count once", async () => {
    await using own = await startRedis();
    const options = { redis: own.url, token: TOKEN, runtime };
    await using small = await redisGateway({ ...options, subscriptions: 1, timeout: 100 });
    const hear = async (path: string) => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      return await small.fetch(new Request(`http://gateway${path}`, { headers }));
    };
    own.pause();
    expect([(await hear("/subscribe/a")).status, (await hear("/psubscribe/a")).status]).toEqual([503, 503]);
    own.resume();
    let heard = await hear("/subscribe/a");
    for (let tries = 0; tries < 100 && heard.status !== 200; tries++) {
      await sleep(10);
      heard = await hear("/subscribe/a");
    }
    expect((await hear("/subscribe/a")).status).toBe(429);
    await heard.body!.cancel();
  });

  test("have a limit", async () => {
    await using small = await redisGateway({ redis: server.url, token: TOKEN, subscriptions: 1, runtime });
    const status = async () => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      const response = await small.fetch(new Request("http://gateway/subscribe/a", { headers }));
      return { status: response.status, leave: () => response.body?.cancel() };
    };
    const first = await status();
    const second = await status();
    expect([first.status, second.status]).toEqual([200, 429]);
    await first.leave();
    const third = await status();
    expect(third.status).toBe(200);
    await third.leave();
  });
});

test("what Redis was told before it was lost may have been done", async () => {
  await using own = await startRedis();
  await using front = await openGateway(own.url);
  await using redis = openCommander(front.url);
  expect(await redis.send(["SET", "kept", 1])).toBe("OK");
  own.pause();
  const codes = [failed(redis.send(["INCR", "kept"])), failed(redis.send(["INCR", "kept"]))];
  await sleep(100);
  await own.kill();
  expect(await Promise.all(codes)).toEqual(["TRANSPORT", "TRANSPORT"]);
});

test("while Redis is away nothing is done and all are told so; it is found again", async () => {
  await using own = await startRedis();
  await using front = await openGateway(own.url, { timeout: 1500 });
  await using redis = openCommander(front.url, { timeout: 10_000 });
  expect(await redis.send(["SET", "kept", 1])).toBe("OK");
  own.pause();
  expect(await failed(redis.send(["INCR", "kept"]))).toBe("TRANSPORT");
  own.resume();
  await sleep(50);
  await own.kill();
  let code: unknown;
  for (let tries = 0; tries < 100 && code !== "UNAVAILABLE"; tries++) {
    code = await failed(redis.send(["INCR", "kept"]));
  }
  expect(code).toBe("UNAVAILABLE");
  const headers = { authorization: `Bearer ${TOKEN}` };
  expect((await fetch(`${front.url}/subscribe/a`, { headers })).status).toBe(503);
  await own.restart();
  let kept: unknown;
  for (let tries = 0; tries < 200 && typeof kept !== "string"; tries++) {
    await sleep(20);
    kept = await redis.send(["GET", "kept"]).catch(() => undefined);
  }
  expect(["1", "2"]).toContain(kept as string);
});
