/** Commands to a real Redis through the gateway, and to one that only notes them. */

import type { Runtime } from "@catga/catga/ports";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { type CommanderOptions, createCommander } from "../../adapters/redis/commander.ts";
import { restWire } from "../../adapters/redis/rest.ts";
import { script, sharedScript } from "../../adapters/redis/scripts.ts";
import { digestOf, sha1 } from "../../adapters/redis/scripts_digest.ts";
import type { Outcome, Reply, Wire } from "../../adapters/redis/wire.ts";
import { failed, openStand, quiet, type RedisStand } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

const echo = script("test.echo", "return { KEYS[1] or false, ARGV, #ARGV }");

describe("a commander", () => {
  test("sends commands and runs scripts", async () => {
    await using redis = stand.open();
    expect(await redis.send(["SET", "a", 5])).toBe("OK");
    expect(await redis.send(["GET", "a"])).toBe("5");
    expect(await redis.run(echo, ["k"], ["v", 1])).toEqual(["k", ["v", "1"], 2]);
    expect(await redis.run(echo, [])).toEqual([null, [], 0]);
    expect(await failed(redis.send(["INCR"]))).toBe("INTERNAL");
  });

  test.each([
    ["nothing", "return nil", null],
    ["false", "return false", null],
    ["true", "return true", 1],
    ["a status", "return redis.status_reply('FINE')", "FINE"],
    ["an empty list", "return {}", []],
    ["early", "if #ARGV == 0 then return 'early' end return 'late'", "early"],
    ["no statement", "", null],
    ["a comment at its end", "return 1 -- one", 1],
  ])("a script returns %s", async (_, source, answer) => {
    await using redis = stand.open();
    expect(await redis.run(script("test.returns", source), [])).toEqual(answer as never);
  });

  test("a script's own error is no answer", async () => {
    await using redis = stand.open();
    expect(await failed(redis.run(script("test.error", "return redis.error_reply('MINE no')"), []))).toBe(
      "INTERNAL",
    );
    expect(await failed(redis.run(script("test.oom", "return redis.error_reply('OOM full')"), []))).toBe(
      "OVERLOADED",
    );
    expect(await failed(redis.run(script("test.syntax", "return ("), []))).toBe("INTERNAL");
  });

  test("scripts are known by their digest, and sent again after they were lost", async () => {
    await using redis = stand.open();
    const before = redis.sent;
    await redis.run(script("test.new", "return 'new'"), []);
    expect(redis.sent - before).toBe(2);
    await redis.run(script("test.new", "return 'new'"), []);
    expect(redis.sent - before).toBe(3);
    await redis.send(["SCRIPT", "FLUSH"]);
    expect(await redis.run(script("test.new", "return 'new'"), [])).toBe("new");
    expect(digestOf(echo)).toMatch(/^[\da-f]{40}$/);
  });

  test("texts come back as they were", async () => {
    await using redis = stand.open();
    const word = fc.string({ unit: "binary", maxLength: 50 }).filter((text) => text.isWellFormed());
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 5 }), word, async (args, key) => {
        expect(await redis.run(echo, [key], args)).toEqual([key, args, args.length]);
      }),
      { numRuns: 60 },
    );
    const hard = [
      "a:b",
      "*",
      "{}",
      "/",
      "\r\n",
      "\0",
      "\u2028",
      "x".repeat(10_000),
      "__proto__",
      "%",
      "?_token=1",
    ];
    expect(await redis.run(echo, ["{x}*"], hard)).toEqual(["{x}*", hard, hard.length]);
  });

  test("what is no text and no number is refused before anything is sent", async () => {
    await using redis = stand.open();
    for (const bad of ["\ud800", NaN, Infinity, undefined, {}, null]) {
      expect(await failed(redis.send(["SET", "bad", bad as never]))).toBe("VALIDATION");
      expect(await failed(redis.run(echo, [bad as never]))).toBe("VALIDATION");
    }
    expect(redis.sent).toBe(0);
  });
});

test("the digest is SHA-1", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => {
    expect(sha1(text)).toBe(createHash("sha1").update(text).digest("hex"));
  }));
  for (const length of [0, 55, 56, 63, 64, 65, 119, 120, 128]) {
    const text = "a".repeat(length);
    expect(sha1(text)).toBe(createHash("sha1").update(text).digest("hex"));
  }
});

/** A wire that notes what it is asked, and answers when it is told to. */
function noted(options: Partial<CommanderOptions> = {}) {
  const asked: {
    commands: readonly (readonly string[])[];
    signal: AbortSignal;
    answer: (outcomes: Outcome[]) => void;
  }[] = [];
  const wire: Wire = {
    request: (commands, signal) => new Promise((answer) => void asked.push({ commands, signal, answer })),
  };
  const timers = new Set<() => void>();
  let now = 0;
  const runtime: Runtime = {
    ...quiet(),
    clock: {
      mono: () => now,
      wall: () => now,
      timer: (_, run) => {
        timers.add(run);
        return () => void timers.delete(run);
      },
    },
  };
  const redis = createCommander(wire, { runtime, ...options });
  const pass = (ms: number): void => {
    now += ms;
    for (const run of [...timers]) run();
  };
  return { redis, asked, pass, timers };
}
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
const fine = (count: number): Outcome[] => Array.from({ length: count }, (_, at) => ({ reply: at }));

describe("requests", () => {
  test("commands of a turn go in one, in their order", async () => {
    const { redis, asked } = noted();
    const answers = ["a", "b", "c"].map((name) => redis.send([name]));
    await turn();
    expect(asked.map(({ commands }) => commands)).toEqual([[["a"], ["b"], ["c"]]]);
    asked[0]!.answer(fine(3));
    expect(await Promise.all(answers)).toEqual([0, 1, 2]);
  });

  test("no more at a time than allowed; the others go together when one is answered", async () => {
    const { redis, asked } = noted({ requests: 1, batch: 2 });
    const answers = ["a", "b", "c", "d", "e"].map((name) => redis.send([name]));
    await turn();
    expect(asked.map(({ commands }) => commands.length)).toEqual([2]);
    for (let at = 0; at < 3; at++) {
      asked[at]!.answer(fine(asked[at]!.commands.length));
      await turn();
    }
    expect(asked.map(({ commands }) => commands.length)).toEqual([2, 2, 1]);
    expect(await Promise.all(answers)).toEqual([0, 1, 0, 1, 0]);
  });

  test("large commands are not put together", async () => {
    const { redis, asked } = noted({ requests: 9 });
    for (let at = 0; at < 3; at++) void redis.send(["SET", "k", "x".repeat(300_000)]);
    await turn();
    expect(asked.map(({ commands }) => commands.length)).toEqual([1, 1, 1]);
  });

  test("what is not answered in time may have been done, what could not be sent was not", async () => {
    const { redis, asked, pass, timers } = noted({ requests: 1, batch: 1, timeout: 100 });
    const codes = ["a", "b"].map((name) => failed(redis.send([name])));
    await turn();
    pass(101);
    expect(await Promise.all(codes)).toEqual(["TRANSPORT", "UNAVAILABLE"]);
    expect(asked).toHaveLength(1);
    expect(asked[0]!.signal.aborted).toBe(true);
    expect(timers.size).toBe(0);
  });

  test("who gives up is let go at once, and the request when nobody waits for it", async () => {
    const { redis, asked, timers } = noted();
    const [one, two] = [new AbortController(), new AbortController()];
    const codes = [one, two].map(({ signal }) => failed(redis.send(["a"], { signal })));
    await turn();
    one.abort();
    expect(await codes[0]).toBe("CANCELLED");
    expect(asked[0]!.signal.aborted).toBe(false);
    two.abort();
    expect(await codes[1]).toBe("CANCELLED");
    expect(asked[0]!.signal.aborted).toBe(true);
    expect(timers.size).toBe(0);
  });

  test("what was given up before it went is never sent", async () => {
    const { redis, asked } = noted();
    const controller = new AbortController();
    const code = failed(redis.send(["a"], { signal: controller.signal }));
    const other = redis.send(["b"]);
    controller.abort();
    await turn();
    expect(await code).toBe("CANCELLED");
    expect(asked.map(({ commands }) => commands)).toEqual([[["b"]]]);
    asked[0]!.answer(fine(1));
    expect(await other).toBe(0);
  });

  test("more than may wait is refused", async () => {
    const { redis } = noted({ limit: 2 });
    const codes = ["a", "b", "c"].map((name) => failed(redis.send([name])));
    expect(await codes[2]).toBe("OVERLOADED");
  });

  test("disposing waits for what is under way and refuses the rest", async () => {
    const { redis, asked } = noted({ requests: 1, batch: 1 });
    const first = redis.send(["a"]);
    const second = failed(redis.send(["b"]));
    await turn();
    const closed = Promise.resolve(redis[Symbol.asyncDispose]());
    expect(await second).toBe("UNAVAILABLE");
    expect(await failed(redis.send(["c"]))).toBe("UNAVAILABLE");
    asked[0]!.answer(fine(1));
    expect(await first).toBe(0);
    await closed;
    expect(asked).toHaveLength(1);
  });

  test("a wire that throws or answers too little is no answer", async () => {
    const { redis, asked } = noted();
    const codes = ["a", "b"].map((name) => failed(redis.send([name])));
    await turn();
    asked[0]!.answer(fine(1));
    expect(await Promise.all(codes)).toEqual(["ok", "TRANSPORT"]);
    const throws = createCommander({
      request: () => {
        throw new Error("with a secret");
      },
    }, { runtime: quiet() });
    const error: Error = await throws.send(["a"]).then(() => new Error("ok"), (thrown) => thrown);
    expect(error.message).toBe("Cannot send A: it failed with Error");
  });
});

describe("runs of a script that share a command", () => {
  const join = sharedScript(
    "test.join",
    2,
    "local calls = 0 local function run(a, b) calls = calls + 1 return { a .. b, calls } end",
  );

  test("are answered each for itself, in their order, by one command", async () => {
    await using redis = stand.open();
    await redis.run(join, ["{k}1", "{k}2"], ["a", "b"]);
    const { sent } = redis;
    const answers = await Promise.all(
      ["c", "d", "e"].map((each) => redis.run(join, ["{k}1", "{k}2"], [each, 1])),
    );
    expect(answers).toEqual([["c1", 1], ["d1", 2], ["e1", 3]]);
    expect(redis.sent - sent).toBe(1);
  });

  test("are sent again together where the script is not known", async () => {
    await using redis = stand.open();
    await redis.send(["SCRIPT", "FLUSH"]);
    const { sent } = redis;
    const answers = await Promise.all(["c", "d"].map((each) => redis.run(join, ["k"], [each, 1])));
    expect(answers).toEqual([["c1", 1], ["d1", 2]]);
    expect(redis.sent - sent).toBe(2);
  });

  test("are those that follow one another, of the same keys, and no more than may be", async () => {
    const { redis, asked } = noted({ runs: 2 });
    const own = (at: number): readonly string[] => asked[0]!.commands[at]!.slice(5);
    for (const each of ["a", "b", "c"]) void redis.run(join, ["{k}1", "{k}2"], [each, 1]);
    void redis.send(["GET", "k"]);
    void redis.run(join, ["{k}1", "{k}2"], ["d", 1]);
    void redis.run(join, ["{k}1", "{k}3"], ["e", 1]);
    const left = new AbortController();
    void failed(redis.run(join, ["{k}1", "{k}3"], ["f", 1], { signal: left.signal }));
    left.abort();
    void redis.run(join, ["{k}1", "{k}3"], ["g", 1]);
    await turn();
    expect(asked).toHaveLength(1);
    expect(asked[0]!.commands.map(([name]) => name)).toEqual([
      "EVALSHA",
      "EVALSHA",
      "GET",
      "EVALSHA",
      "EVALSHA",
    ]);
    expect([0, 1, 3, 4].map((at) => own(at).filter((_, word) => word % 3 === 0).join(""))).toEqual([
      "ab",
      "c",
      "d",
      "eg",
    ]);
  });

  test("are no larger together than a request may be", async () => {
    const { redis, asked } = noted({ requests: 9 });
    for (const each of ["a", "b"]) void redis.run(join, ["k"], [each, "x".repeat(300_000)]);
    await turn();
    expect(asked.map(({ commands }) => commands.length)).toEqual([1, 1]);
  });

  test.each<[string, (answers: readonly Reply[]) => Reply, readonly string[]]>([
    ["all", (answers) => answers, ["ok", "ok", "ok"]],
    ["too few", (answers) => answers.slice(1), ["TRANSPORT", "TRANSPORT", "TRANSPORT"]],
    ["too many", (answers) => [...answers, ["9", 0]], ["TRANSPORT", "TRANSPORT", "TRANSPORT"]],
    ["no list", () => "OK", ["TRANSPORT", "TRANSPORT", "TRANSPORT"]],
    ["two mixed up", ([a, b, c]) => [a!, c!, b!], ["ok", "TRANSPORT", "TRANSPORT"]],
    ["one twice", ([a, b]) => [a!, b!, b!], ["ok", "ok", "TRANSPORT"]],
  ])("are told what came to each of them when %s come back", async (_, spoil, codes) => {
    const { redis, asked } = noted();
    const told = ["a", "b", "c"].map((each) => failed(redis.run(join, ["k"], [each, 1])));
    await turn();
    const tags = asked[0]!.commands[0]!.slice(5).filter((_, word) => word % 3 === 2);
    asked[0]!.answer([{ reply: spoil(tags.map((tag) => [tag, 0])) }]);
    expect(await Promise.all(told)).toEqual([...codes]);
  });

  test("fail together when it does", async () => {
    const { redis, asked } = noted();
    const told = ["a", "b"].map((each) => failed(redis.run(join, ["k"], [each, 1])));
    await turn();
    asked[0]!.answer([{ error: "OOM command not allowed" }]);
    expect(await Promise.all(told)).toEqual(["OVERLOADED", "OVERLOADED"]);
  });
});

describe("the address and the token", () => {
  const token = "a-secret-token";
  test.each([
    "nonsense",
    "redis://host",
    "https://user:secret-word@host",
    "https://host/?_token=secret-word",
    "https://host/#secret-word",
    "",
  ])("%s is no address, and is not quoted", (url) => {
    const made = (): Wire => restWire({ url, token }, quiet());
    expect(made).toThrow(/^Cannot use the URL of Redis/);
    expect(made).not.toThrow(/secret-word/);
  });

  test.each(["", "two words", "line\nbreak", "ümlaut"])("%j is no token", (bad) => {
    expect(() => restWire({ url: "https://host", token: bad }, quiet())).toThrow(
      /^Cannot use the token for Redis/,
    );
  });

  test("a path before the API is kept, and nobody there is UNAVAILABLE", async () => {
    const urls: string[] = [];
    const runtime: Runtime = { ...quiet(), fetch: (url) => Promise.reject(urls.push(url)) };
    const wire = restWire({ url: "https://host/redis//", token }, runtime);
    await wire.request([["PING"]], new AbortController().signal).catch(() => {});
    expect(urls).toEqual(["https://host/redis/pipeline"]);
    const nobody = createCommander(restWire({ url: "http://127.0.0.1:1", token }, quiet()), {
      runtime: quiet(),
    });
    expect(await failed(nobody.send(["PING"]))).toBe("UNAVAILABLE");
  });
});
