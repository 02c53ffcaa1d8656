/** The unmodified client of Upstash against the gateway, the traps in it, and that they do not bite through us. */

import { Redis, type RedisConfigNodejs } from "@upstash/redis";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createCommander } from "../../adapters/redis/commander.ts";
import { readyWire } from "../../adapters/redis/ready.ts";
import { script } from "../../adapters/redis/scripts.ts";
import { type GatewayStub, startStub } from "./gateway_stub.ts";
import { failed, openStand, quiet, type RedisStand, TOKEN } from "./support.ts";

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

const client = (options: Partial<RedisConfigNodejs> = {}): Redis =>
  new Redis({ url: stand.url, token: TOKEN, enableTelemetry: false, ...options });
/** Ours, made of theirs. */
const ours = (theirs: Redis) =>
  createCommander(readyWire(theirs, quiet()), { runtime: quiet(), timeout: 15_000 });

describe("it works", () => {
  test("commands, pipelines, transactions and scripts", async () => {
    const redis = client();
    expect(await redis.set("a", "ä€😀", { ex: 100, nx: true })).toBe("OK");
    expect(await redis.get("a")).toBe("ä€😀");
    expect(await redis.hset("h", { x: 1, y: "z" })).toBe(2);
    expect(await redis.hgetall<Record<string, unknown>>("h")).toEqual({ x: 1, y: "z" });
    expect(await redis.pipeline().incr("n").incrby("n", 5).get("none").exec<unknown[]>()).toEqual([
      1,
      6,
      null,
    ]);
    expect(await redis.multi().set("m", "1").incr("m").exec<unknown[]>()).toEqual(["OK", 2]);
    expect(await redis.eval("return {KEYS[1], ARGV[1]}", ["k"], ["v"])).toEqual(["k", "v"]);
    expect(await redis.createScript<string>("return ARGV[1]").exec([], ["said"])).toBe("said");
    expect(await Promise.all([redis.incr("n"), redis.incr("n")])).toEqual([7, 8]);
  });

  test("streams", async () => {
    const redis = client();
    await redis.xgroup("x", { type: "CREATE", group: "g", id: "0", options: { MKSTREAM: true } });
    const id = await redis.xadd("x", "*", { a: "b" });
    expect(await redis.xreadgroup("g", "me", "x", ">")).toEqual([["x", [[id, ["a", "b"]]]]]);
    expect(await redis.xack("x", "g", id)).toBe(1);
  });

  test("subscriptions", async () => {
    const subscription = client().subscribe<string>("news");
    const heard: unknown[] = [];
    const told = new Promise<void>((resolve) => {
      subscription.on("message", ({ message }) => {
        heard.push(message);
        resolve();
      });
    });
    await new Promise<void>((resolve) => subscription.on("subscribe", () => resolve()));
    expect(await client().publish("news", "hello")).toBe(1);
    await told;
    expect(heard).toEqual(["hello"]);
    await subscription.unsubscribe();
  });
});

describe("its traps do not bite", () => {
  const count = script("test.count", `redis.call("INCR", KEYS[1]) return ARGV[1]`);

  test("an aborted command resolves", async () => {
    const controller = new AbortController();
    stub.fail("hangs (nothing done)");
    const theirs = client({ url: stub.url, signal: controller.signal, enableAutoPipelining: false });
    const pending = theirs.set("trap", "x", { nx: true });
    setTimeout(() => controller.abort("given up"), 20);
    expect(await pending.then((value) => ({ value }), () => "rejects")).toHaveProperty("value");
    await using redis = ours(client({ url: stub.url }));
    const signal = AbortSignal.abort();
    expect(await failed(redis.run(count, ["trap"], [1], { signal }))).toBe("CANCELLED");
    const late = new AbortController();
    const given = failed(redis.run(count, ["trap"], [1], { signal: late.signal }));
    setTimeout(() => late.abort(), 20);
    expect(await given).toBe("CANCELLED");
    stub.fail(undefined);
  });

  test("a lost answer is asked for again, also with retry: false", async () => {
    stub.fail("reset, done");
    const { requests } = stub.seen;
    expect(await client({ url: stub.url, retry: false }).incr("theirs").then(() => "ok", () => "failed"))
      .toBe("failed");
    expect(stub.seen.requests - requests).toBeGreaterThanOrEqual(2);
    stub.fail(undefined);
    expect(await client().get("theirs")).toBeGreaterThanOrEqual(2);
    await using redis = ours(client({ url: stub.url }));
    await redis.run(count, ["known"], [1]);
    stub.fail("reset, done");
    expect(await failed(redis.run(count, ["ours"], [1]))).toBe("TRANSPORT");
    stub.fail(undefined);
    expect(await client().get("ours")).toBe(1);
  });

  test("texts that look like something else become that", async () => {
    await using redis = ours(client());
    const texts = [
      "5",
      "1e3",
      "true",
      "null",
      `{"a":1}`,
      `["x"]`,
      "OK",
      "",
      "T0s=",
      "007",
      "12345678901234567890",
    ];
    await client().set("typed", "5");
    expect(await client().get("typed")).toBe(5 as never);
    const echo = script("test.echo", "return ARGV");
    expect(await redis.run(echo, [], texts)).toEqual(texts);
    for (const text of texts) {
      await redis.send(["SET", "typed", text]);
      expect(await redis.send(["GET", "typed"])).toBe(text);
    }
  });

  test("a pipeline that is answered in part resolves", async () => {
    stub.fail("one answer too few, done");
    const theirs = client({ url: stub.url }).pipeline().set("p", 1).set("q", 2);
    expect(await theirs.exec<unknown[]>()).toEqual(["OK"] as never);
    await using redis = ours(client({ url: stub.url }));
    const both = [redis.send(["SET", "p", 1]), redis.send(["SET", "q", 2])];
    expect(await Promise.all(both.map(failed))).toEqual(["TRANSPORT", "TRANSPORT"]);
    stub.fail(undefined);
  });

  test("an error quotes what was sent", async () => {
    const value = "a-value-that-nobody-may-see";
    const error: Error = await client({ enableAutoPipelining: false }).eval(
      "return redis.call('NOSUCH', ARGV[1])",
      [],
      [
        value,
      ],
    ).then(() => new Error("ran"), (e) => e);
    expect(error.message).toContain(value);
    await using redis = ours(client());
    const bad = script("test.bad", "\nreturn redis.call('NOSUCH', ARGV[1])");
    const mine: Error = await redis.run(bad, [], [value]).then(() => new Error("ran"), (e) => e);
    expect(mine.message).toBe(
      "Cannot run test.bad: Redis answered ERR at line 2 of the script; it may have been done",
    );
    expect(`${mine.stack}${JSON.stringify(mine)}`).not.toContain(value);
    expect(await failed(redis.send(["NOSUCH", value]))).toBe("INTERNAL");
  });
});
