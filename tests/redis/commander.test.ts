/** Commands to a real Redis through the gateway. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { script } from "../../adapters/redis/scripts.ts";
import { failed, openStand, type RedisStand } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

const echo = script("test.echo", "return { KEYS[1], ARGV[1], #ARGV }");

describe("a commander", () => {
  test("sends commands and runs scripts", async () => {
    await using redis = stand.open();
    expect(await redis.send(["SET", "a", 5])).toBe("OK");
    expect(await redis.send(["GET", "a"])).toBe("5");
    expect(await redis.run(echo, ["k"], ["v"])).toEqual(["k", "v", 1]);
    expect(await failed(redis.send(["INCR"]))).toBe("INTERNAL");
  });
});
