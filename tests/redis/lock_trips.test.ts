/** How many requests and commands locks, leases, cached values and idempotent commands take. */

import { command, createMediator, handle, type } from "@catga/catga";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { acquireLease, createCache, createLocks, idempotent } from "@catga/catga/durable";
import type { Runtime } from "@catga/catga/ports";
import { CommandBudget } from "../../adapters/redis/budget.ts";
import { type Commander, createCommander } from "../../adapters/redis/commander.ts";
import { restWire } from "../../adapters/redis/rest.ts";
import { redisStore } from "../../adapters/redis/store.ts";
import type { Wire } from "../../adapters/redis/wire.ts";
import { openStand, quiet, type RedisStand, TOKEN } from "./support.ts";

let stand: RedisStand;
beforeAll(async () => void (stand = await openStand()));
afterAll(async () => await stand[Symbol.asyncDispose]());

/** Nothing is left for looking, so what is counted is only what was asked for. */
function spent({ clock }: Runtime): CommandBudget {
  const budget = new CommandBudget(clock, 1);
  for (let times = 0; times < 2; times++) budget.spend();
  return budget;
}

interface Counted {
  readonly commander: Commander;
  readonly runtime: Runtime;
  /** The commands of each request since this was asked last. */
  requests(): Promise<readonly number[]>;
}

function counted(): Counted {
  const runtime = quiet();
  const rest = restWire({ url: stand.url, token: TOKEN }, runtime);
  let requests: number[] = [];
  const wire: Wire = {
    ...rest,
    request: (commands, signal) => {
      requests.push(commands.length);
      return rest.request(commands, signal);
    },
  };
  return {
    commander: createCommander(wire, { runtime }),
    runtime,
    requests: async () => {
      // What goes on in the background comes to its end.
      for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setTimeout(resolve, 10));
      const those = requests;
      requests = [];
      return await Promise.resolve(those);
    },
  };
}

/** Redis knows the scripts from then on. */
async function warm({ commander, requests }: Counted): Promise<void> {
  const store = redisStore(commander, { name: "warm" });
  await store.get("a");
  await store.put("a", "", { ttl: 1000 });
  await store.delete("a");
  await store.list("");
  await requests();
}

const names = Array.from({ length: 64 }, (_, at) => `n${at}`);

describe("a lock that is free", () => {
  test("takes one request to get and one to give back", async () => {
    const made = counted();
    await using commander = made.commander;
    await warm(made);
    await using store = redisStore(commander);
    const locks = createLocks({ store, runtime: made.runtime, owner: "a" });
    const lease = await locks.acquire("x");
    expect(await made.requests()).toEqual([1]);
    await lease.release();
    expect(await made.requests()).toEqual([1]);
    expect(await locks.run("x", () => 7)).toBe(7);
    expect(await made.requests()).toEqual([1, 1]);
  });

  test("goes in one command with all others of the same turn, both ways", async () => {
    const made = counted();
    await using commander = made.commander;
    await warm(made);
    await using store = redisStore(commander);
    const locks = createLocks({ store, runtime: made.runtime, owner: "a" });
    const leases = await Promise.all(names.map((name) => locks.acquire(name)));
    expect(await made.requests()).toEqual([1]);
    await Promise.all(leases.map((lease) => lease.release()));
    expect(await made.requests()).toEqual([1]);
    await Promise.all(names.map((name) => locks.run(name, () => {})));
    expect(await made.requests()).toEqual([1, 1]);
  });

  test("goes from one to the next of a process once it was given back, without asking for it", async () => {
    const made = counted();
    await using commander = made.commander;
    await warm(made);
    await using store = redisStore(commander);
    const locks = createLocks({ store, runtime: made.runtime, owner: "a" });
    await Promise.all(Array.from({ length: 10 }, () => locks.run("x", () => {})));
    expect(await made.requests()).toEqual(Array.from({ length: 20 }, () => 1));
  });
});

test("a lease that is taken is asked for once, and then watched", async () => {
  const made = counted();
  await using commander = made.commander;
  await warm(made);
  await using store = redisStore(commander, { name: "taken", budget: spent(made.runtime) });
  const options = { store, runtime: made.runtime, ttl: 30_000 };
  const lease = await acquireLease("x", { ...options, owner: "a" });
  await made.requests();
  expect(await acquireLease("x", { ...options, owner: "b", timeout: 0 }).catch(({ code }) => code)).toBe(
    "CONFLICT",
  );
  expect(await made.requests()).toEqual([1, 1]);
  const over = new AbortController();
  const late = acquireLease("x", { ...options, owner: "b", signal: over.signal }).catch(({ code }) => code);
  expect(await made.requests()).toEqual([1, 1]);
  over.abort();
  expect(await late).toBe("CANCELLED");
  const next = acquireLease("x", { ...options, owner: "c", timeout: 20_000 });
  await made.requests();
  await lease.release();
  // A store hears of its own writes at once.
  const { token } = await next;
  expect(token).toBeGreaterThan(lease.token);
  expect(await made.requests()).toEqual([1, 1]);
  await (await next).release();
});

test("a value that is kept near is answered without a command while it is fresh", async () => {
  const made = counted();
  await using commander = made.commander;
  await warm(made);
  await using store = redisStore(commander, { budget: spent(made.runtime) });
  await using cache = createCache({
    store,
    runtime: made.runtime,
    namespace: "prices",
    value: type<number>(),
    near: { maxAge: 60_000 },
  });
  let computed = 0;
  const compute = (): number => ++computed;
  expect(await cache.getOrSet("p1", compute)).toBe(1);
  expect(await cache.getOrSet("p1", compute)).toBe(1);
  await made.requests();
  const { sent } = commander;
  for (let times = 0; times < 100; times++) {
    expect(await cache.get("p1")).toBe(1);
    expect(await cache.getOrSet("p1", compute)).toBe(1);
  }
  expect(commander.sent - sent).toBe(0);
  expect(cache.stats().near).toBeGreaterThanOrEqual(200);
});

test("idempotent commands of one turn are claimed by one command, and answered by one", async () => {
  const made = counted();
  await using commander = made.commander;
  await warm(made);
  await using store = redisStore(commander);
  const Pay = command("pay", {
    input: type<string>(),
    output: type<string>(),
    idempotency: { key: (id) => id },
  });
  let payments = 0;
  const app = createMediator({
    handlers: [handle(Pay, (id) => `${id} ${++payments}`)],
    behaviors: [idempotent({ store })],
    runtime: made.runtime,
  });
  const first = await Promise.all(names.map((name) => app.send(Pay(name))));
  const requests = await made.requests();
  expect(requests).toEqual([1, 1]);
  expect(await Promise.all(names.map((name) => app.send(Pay(name))))).toEqual(first);
  expect([payments, first.every(({ ok }) => ok)]).toEqual([64, true]);
  // Each is asked whether it is new, and then what was answered.
  expect(await made.requests()).toEqual([1, 1]);
});
