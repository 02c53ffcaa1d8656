/** Each fault of a gateway times each operation of the store: nothing is reported as done that was not. */

import { CatgaError } from "@catga/catga";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Commander } from "../../adapters/redis/commander.ts";
import { type RedisStore, redisStore } from "../../adapters/redis/store.ts";
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
/** With these codes nothing was done. */
const UNDONE = ["UNAVAILABLE", "OVERLOADED", "VALIDATION"];

let stand: RedisStand;
let stub: GatewayStub;
let faulty: Commander;
let straight: Commander;
let store: RedisStore;
let direct: RedisStore;
beforeAll(async () => {
  stand = await openStand();
  stub = await startStub(stand.url);
  faulty = openThrough(stub);
  straight = stand.open();
  const heals = {
    ...faulty,
    run: async (script, keys, args, options) => {
      if (healed && script.name === "store.settle") stub.fail(undefined);
      return await faulty.run(script, keys, args, options);
    },
  } satisfies Commander;
  store = redisStore(heals, { name: "faults", polling: "fast" });
  direct = redisStore(straight, { name: "faults" });
  // So that all scripts are known.
  for (const each of [store, direct]) {
    await each.put("known", VALUE);
    await each.get("known");
    await each.list("known");
    await each.delete("known");
  }
});
afterAll(async () => {
  for (const each of [store, direct, faulty, straight, stub, stand]) await each[Symbol.asyncDispose]();
});

/** Whether requests go well again once the store settles what it does not know. */
let healed = false;

type Outcome = { readonly ok: unknown } | { readonly error: unknown };

/** How each operation is asked, and whether it has changed something: looked at without faults. */
const operations: Readonly<
  Record<
    string,
    { ask(key: string, revision: number): Promise<unknown>; done(key: string): Promise<boolean> }
  >
> = {
  "put": {
    ask: (key) => store.put(key, `${VALUE} 2`),
    done: async (key) => (await direct.get(key))?.value === `${VALUE} 2`,
  },
  "put where there is nothing": {
    ask: (key) => store.put(`${key}/new`, VALUE, { expected: "absent", ttl: 60_000 }),
    done: async (key) => (await direct.get(`${key}/new`)) !== undefined,
  },
  "put over a revision": {
    ask: (key, revision) => store.put(key, `${VALUE} 2`, { expected: revision }),
    done: async (key) => (await direct.get(key))?.value === `${VALUE} 2`,
  },
  "delete": {
    ask: (key) => store.delete(key),
    done: async (key) => (await direct.get(key)) === undefined,
  },
  "delete of a revision": {
    ask: (key, revision) => store.delete(key, { expected: revision }),
    done: async (key) => (await direct.get(key)) === undefined,
  },
};

const readings: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
  "get": (key) => store.get(key),
  "list": (key) => store.list(key),
  "watch": async (key) => {
    for await (const change of store.watch(key)) if (change.type === "ready") return;
  },
};

async function attempt(ask: () => Promise<unknown>, name: FaultName): Promise<Outcome> {
  stub.fail(name);
  const outcome = await ask().then((ok) => ({ ok }), (error: unknown) => ({ error }));
  stub.fail(undefined);
  return outcome;
}

function failureOf(outcome: Outcome): CatgaError {
  expect(outcome).toHaveProperty("error");
  const { error } = outcome as { readonly error: CatgaError };
  expect(CatgaError.is(error)).toBe(true);
  const said = [error.message, error.stack, JSON.stringify(error), String(error.cause)].join("\n");
  for (const secret of [VALUE, TOKEN]) expect(said).not.toContain(secret);
  return error;
}

describe.each(Object.keys(operations))("%s", (operation) => {
  const { ask, done } = operations[operation]!;

  test.each(faultNames)("is not taken for done: %s", async (name) => {
    healed = false;
    const key = `${operation}/${name}`;
    const revision = await direct.put(key, VALUE);
    const error = failureOf(await attempt(() => ask(key, revision), name));
    expect([...UNDONE, "TRANSPORT"]).toContain(error.code);
    const was = await done(key);
    expect(was).toBe(isDone(name));
    if (UNDONE.includes(error.code)) expect(was).toBe(false);
  });

  test.each(faultNames)("is settled by reading back: %s", async (name) => {
    healed = true;
    const key = `healed ${operation}/${name}`;
    const revision = await direct.put(key, VALUE);
    const outcome = await attempt(() => ask(key, revision), name);
    const was = await done(key);
    expect(was).toBe(isDone(name));
    if (!was) return void expect([...UNDONE, "TRANSPORT"]).toContain(failureOf(outcome).code);
    expect(outcome).toHaveProperty("ok");
    const entry = await direct.get(operation === "put where there is nothing" ? `${key}/new` : key);
    if (operation.startsWith("put")) expect(outcome).toEqual({ ok: entry!.revision });
  });
});

describe("writes of one turn share a command:", () => {
  test.each(faultNames)("none is taken for done that is not: %s", async (name) => {
    for (healed of [false, true]) {
      const keys = Array.from({ length: 6 }, (_, at) => `together ${healed}/${name}/${at}`);
      await Promise.all(keys.map((key) => direct.put(key, VALUE)));
      const put = (_: string, at: number): boolean => at % 2 === 0;
      stub.fail(name);
      const outcomes = await Promise.allSettled(
        keys.map((key, at) => put(key, at) ? store.put(key, `${VALUE} 2`) : store.delete(key)),
      );
      stub.fail(undefined);
      for (const [at, outcome] of outcomes.entries()) {
        const value = (await direct.get(keys[at]!))?.value;
        const was = put(keys[at]!, at) ? value === `${VALUE} 2` : value === undefined;
        expect(was).toBe(isDone(name));
        if (outcome.status === "fulfilled") expect(was).toBe(true);
        else if (UNDONE.includes(failureOf({ error: outcome.reason }).code)) expect(was).toBe(false);
        if (healed && was) expect(outcome.status).toBe("fulfilled");
      }
    }
  });
});

test.each(Object.keys(readings).flatMap((reading) => faultNames.map((name) => [reading, name] as const)))(
  "%s fails as it should: %s",
  async (reading, name) => {
    healed = false;
    await direct.put(`${reading}/${name}`, VALUE);
    const error = failureOf(await attempt(() => readings[reading]!(`${reading}/${name}`), name));
    expect([...UNDONE, "TRANSPORT"]).toContain(error.code);
  },
);

test("a write that was overwritten meanwhile is settled all the same", async () => {
  healed = true;
  stub.fail("hangs, done");
  const lost = store.put("over", "1");
  for (let looks = 0; looks < 200 && (await direct.get("over")) === undefined; looks++);
  const later = await direct.put("over", "2");
  const revision = await lost;
  stub.fail(undefined);
  expect(revision).toBeLessThan(later);
  expect((await direct.get("over"))?.value).toBe("2");
});

test("hundreds of writes of one turn whose answer was lost are settled, in a few commands", async () => {
  healed = true;
  stub.fail("hangs, done");
  const { sent } = faulty;
  const keys = Array.from({ length: 600 }, (_, at) => `many/${at}`);
  const revisions = await Promise.all(keys.map((key) => store.put(key, "1")));
  stub.fail(undefined);
  expect(faulty.sent - sent).toBeLessThanOrEqual(20);
  const kept = await direct.list("many/");
  expect(new Map(kept.map(({ key, revision }) => [key, revision]))).toEqual(
    new Map(keys.map((key, at) => [key, revisions[at]!])),
  );
});

test("a watch outlasts looks that fail now and then, and breaks off when they go on failing", async () => {
  const watch = store.watch("w/")[Symbol.asyncIterator]();
  expect((await watch.next()).value).toEqual({ type: "ready" });
  stub.fail("reset (nothing done)");
  const { requests } = stub.seen;
  while (stub.seen.requests === requests) await new Promise((resolve) => setTimeout(resolve, 5));
  stub.fail(undefined);
  const revision = await direct.put("w/a", "1");
  expect((await watch.next()).value).toMatchObject({ type: "put", entry: { key: "w/a", revision } });
  const broken = watch.next().then(() => undefined, (thrown: CatgaError) => thrown.code);
  stub.fail("503 (nothing done)");
  expect(await broken).toBe("TRANSPORT");
  stub.fail(undefined);
}, 60_000);
