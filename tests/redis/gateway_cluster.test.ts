/** Transactions by a gateway in front of a Redis Cluster whose slots move. */

import { type RedisGateway, redisGateway } from "@catga/catga/redis/gateway";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type RedisCluster, startRedisCluster } from "./server.ts";
import { quiet, TOKEN } from "./support.ts";

let cluster: RedisCluster;
let gateway: RedisGateway;
beforeAll(async () => {
  cluster = await startRedisCluster();
  gateway = await redisGateway({ redis: cluster.urls, token: TOKEN, runtime: quiet() });
}, 30_000);
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

async function said(path: string, body: BodyInit, headers: Readonly<Record<string, string>> = {}) {
  const init = { method: "POST", headers: { authorization: `Bearer ${TOKEN}`, ...headers }, body };
  const answer = await gateway.fetch(new Request(`http://gateway${path}`, init));
  return [answer.status, await answer.json()];
}

const transaction = (...commands: readonly unknown[]) => said("/multi-exec", JSON.stringify(commands));

test("each byte comes back, in a pipeline and in a transaction", async () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
  expect(await said("/set/bin", bytes)).toEqual([200, { result: "OK" }]);
  for (const path of ["/pipeline", "/multi-exec"]) {
    const get = `[["GET","bin"],["EVAL","return redis.call('GET', KEYS[1])",1,"bin"]]`;
    const [base64, text] = [btoa(String.fromCharCode(...bytes)), new TextDecoder().decode(bytes)];
    const encoded = await said(path, get, { "upstash-encoding": "base64" });
    expect(encoded).toEqual([200, [{ result: base64 }, { result: base64 }]]);
    expect(await said(path, get)).toEqual([200, [{ result: text }, { result: text }]]);
  }
});

test("a transaction without keys is done, and one that is refused says why", async () => {
  expect(await transaction(["PING"], ["ECHO", "ü"])).toEqual([200, [{ result: "PONG" }, { result: "ü" }]]);
  const refused = [400, { error: expect.stringMatching(/^ERR wrong number/) as unknown }];
  expect(await transaction(["SET", "refused", 1], ["GET"])).toEqual(refused);
  expect(await transaction(["GET", "refused"])).toEqual([200, [{ result: null }]]);
});

test("a transaction finds keys that have moved, and is not done at half of them", async () => {
  const slot = await cluster.slotOf("{m}");
  const to = (await cluster.ownerOf(slot) + 1) % 3;
  const add = () => transaction(["INCR", "{m}a"], ["INCR", "{m}b"]);
  expect(await add()).toEqual([200, [{ result: 1 }, { result: 1 }]]);
  await cluster.beginMove(slot, to);
  expect(await add()).toEqual([200, [{ result: 2 }, { result: 2 }]]);
  await cluster.moveKeys(slot, to, 1);
  expect(await add()).toEqual([400, { error: expect.stringMatching(/^TRYAGAIN/) as unknown }]);
  await cluster.moveKeys(slot, to);
  await cluster.endMove(slot, to);
  expect(await add()).toEqual([200, [{ result: 3 }, { result: 3 }]]);
});
