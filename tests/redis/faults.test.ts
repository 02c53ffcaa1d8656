/** Each fault of a gateway times each way to send: nothing is reported as done that was not. */

import { CatgaError } from "@catga/catga";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Commander } from "../../adapters/redis/commander.ts";
import { script } from "../../adapters/redis/scripts.ts";
import {
  type FaultName,
  faultNames,
  type GatewayStub,
  isDone,
  openThrough,
  startStub,
} from "./gateway_stub.ts";
import { openStand, type RedisStand, TOKEN } from "./support.ts";

const VALUE = "a-value-that-nobody-may-see";
const count = script("test.count", `redis.call("INCR", KEYS[1]) return ARGV[1]`);

let stand: RedisStand;
let stub: GatewayStub;
let direct: Commander;
let faulty: Commander;
beforeAll(async () => {
  stand = await openStand();
  stub = await startStub(stand.url);
  direct = stand.open();
  faulty = openThrough(stub);
  await direct.run(count, ["known"], [VALUE]);
});
afterAll(async () => {
  await faulty[Symbol.asyncDispose]();
  await direct[Symbol.asyncDispose]();
  await stub[Symbol.asyncDispose]();
  await stand[Symbol.asyncDispose]();
});

type Outcome = { readonly ok: unknown } | { readonly error: unknown };
const settle = (work: Promise<unknown>): Promise<Outcome> =>
  work.then((ok) => ({ ok }), (error: unknown) => ({ error }));

/** Ways to send that count once under a key. */
const ways: Readonly<Record<string, (key: string, name: FaultName) => Promise<readonly Outcome[]>>> = {
  "a script": async (key, name) => {
    stub.fail(name);
    return [await settle(faulty.run(count, [key], [VALUE]))];
  },
  "a script that Redis does not know": async (key, name) => {
    await direct.send(["SCRIPT", "FLUSH"]);
    stub.fail(name, 1);
    const outcome = await settle(faulty.run(count, [key], [VALUE]));
    await direct.run(count, ["known"], [VALUE]);
    return [outcome];
  },
  "three scripts of a turn": async (key, name) => {
    stub.fail(name);
    const runs = [key, `${key}:1`, `${key}:2`].map((each) => settle(faulty.run(count, [each], [VALUE])));
    return await Promise.all(runs);
  },
  "a command": async (key, name) => {
    stub.fail(name);
    return [await settle(faulty.send(["INCR", key]))];
  },
};

/** These make up an answer that fits: only that to a script proves what it is to. */
const lies: readonly FaultName[] = [
  "an old answer",
  "null for all (nothing done)",
  "OK for all (nothing done)",
  "answers mixed up, done",
  "base64 unasked, done",
  "garbage, done",
  "texts read as JSON, done",
];
/** With these codes nothing was done. */
const undone = ["UNAVAILABLE", "OVERLOADED", "VALIDATION"];

describe.each(Object.keys(ways))("%s", (way) => {
  test.each(way === "a command" ? faultNames.filter((name) => !lies.includes(name)) : faultNames)(
    "fails as it should: %s",
    async (name) => {
      const key = `${way}/${name}`;
      const [outcome] = await ways[way]!(key, name);
      stub.fail(undefined);
      const counted = Number(await direct.send(["GET", key]) ?? 0);
      expect(counted).toBe(isDone(name) ? 1 : 0);
      expect(outcome).toHaveProperty("error");
      const { error } = outcome as { error: CatgaError };
      expect(CatgaError.is(error)).toBe(true);
      expect([...undone, "TRANSPORT"]).toContain(error.code);
      if (undone.includes(error.code)) expect(counted).toBe(0);
      for (const secret of [VALUE, TOKEN]) expect(said(error)).not.toContain(secret);
    },
  );
});

test("there are faults enough, and a redirect was never followed", () => {
  expect(faultNames.length).toBeGreaterThanOrEqual(13);
  expect(stub.seen.requests).toBeGreaterThan(faultNames.length * 3);
  expect(stub.seen.canary).toBe(0);
});

test("what is known of a fault is told", async () => {
  const errorOf = async (name: FaultName): Promise<CatgaError> => {
    stub.fail(name);
    const error = await faulty.run(count, ["told"], [VALUE]).catch((thrown) => thrown);
    stub.fail(undefined);
    return error;
  };
  expect(await errorOf("429 with Retry-After")).toMatchObject({
    code: "OVERLOADED",
    data: { retryAfter: 2000 },
  });
  expect(await errorOf("401")).toMatchObject({ code: "UNAVAILABLE" });
  expect(await errorOf("hangs, done")).toMatchObject({ code: "TRANSPORT" });
  expect((await errorOf("redirect")).message).toContain("Give the address that it leads to");
  expect((await errorOf("one answer too few, done")).message).toContain("0 of 1 answers");
});

/** Whatever a person or a log may get to see of an error. */
function said(error: CatgaError): string {
  return [error.message, error.stack, JSON.stringify(error), String(error.cause)].join("\n");
}
