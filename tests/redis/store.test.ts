/** The store in Redis, as every store is promised to be: by two commanders, behind the gateway. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { storeConformance, type StoreUnderTest } from "@catga/catga/testing";
import { redisStore } from "../../adapters/redis/store.ts";
import { openStand, type RedisStand, sleep } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => void (stand = await openStand()));
afterAll(async () => await stand[Symbol.asyncDispose]());

let names = 0;
async function underTest(): Promise<StoreUnderTest> {
  const name = `store ${names++}`;
  const commanders = [stand.open(), stand.open()] as const;
  const [store, other] = commanders.map((each) => redisStore(each, { name, polling: "fast" }));
  return await Promise.resolve({
    store: store!,
    other: other!,
    pass: sleep,
    close: async () => {
      for (const each of [store!, other!, ...commanders]) await each[Symbol.asyncDispose]();
    },
  });
}

describe("the Redis store is a store", () => {
  for (const { name, run } of storeConformance(underTest)) test(name, run, 30_000);
});
void expect;
