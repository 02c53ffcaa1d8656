/** Leases and locks on Redis: one holder at a time, also of processes that are killed or stopped. */

import { describe, expect } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { acquireLease, createLocks, type Lease } from "@catga/catga/durable";
import type { Runtime } from "@catga/catga/ports";
import type { Commander } from "../../adapters/redis/commander.ts";
import { type RedisStore, redisStore } from "../../adapters/redis/store.ts";
import { beside, roomOf } from "../support/beside.ts";
import { fightForLock } from "../support/lease_fight.ts";
import { failed, openStand, quiet, type RedisStand } from "./support.ts";

const HOUR = 3_600_000;
const TTL = 1000;

interface Locks {
  readonly store: RedisStore;
  readonly runtime: Runtime;
  /** What it asks by. */
  readonly commander: Commander;
}

/** Stores of one name; disposing them ends all. */
interface LockStores extends AsyncDisposable {
  open(): Locks;
}

/** Every second one has a clock that is an hour fast, the others one that is an hour slow. */
function storesOn(stand: RedisStand): LockStores {
  const opened: Locks[] = [];
  return {
    open: () => {
      const { clock, ...rest } = quiet();
      const hours = opened.length % 2 === 0 ? 1 : -1;
      const runtime = { ...rest, clock: { ...clock, wall: () => clock.wall() + hours * HOUR } };
      const commander = stand.open({ runtime });
      const locks = { store: redisStore(commander, { name: "locks", polling: "fast" }), runtime, commander };
      opened.push(locks);
      return locks;
    },
    [Symbol.asyncDispose]: async () => {
      for (const { store, commander } of opened) {
        await store[Symbol.asyncDispose]();
        await commander[Symbol.asyncDispose]();
      }
    },
  };
}

const test = beside(8, async () => {
  const stand = await openStand();
  return roomOf({ stand, stores: storesOn(stand) });
});

async function take(stores: LockStores, owner: string, key = "leases/a", timeout = 20_000): Promise<Lease> {
  const { store, runtime } = stores.open();
  return await acquireLease(key, { store, runtime, owner, ttl: TTL, timeout });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let looks = 0; looks < 1000; looks++) {
    if (holds()) return;
    await sleep(10);
  }
  throw new Error(`Expected, but did not happen: ${what}`);
}

describe("a lease", () => {
  test("is given on when it is released or its holder is gone, each time with a larger token", async ({ stores }) => {
    const { store, runtime, commander } = stores.open();
    const gone = await acquireLease("leases/a", { store, runtime, owner: "gone", ttl: TTL });
    expect(await failed(take(stores, "early", "leases/a", 0))).toBe("CONFLICT");
    // Its connection is closed, so it is not heard of any longer.
    await commander[Symbol.asyncDispose]();
    const second = await take(stores, "second");
    expect(gone.held()).toBe(false);
    const waiting = take(stores, "third");
    await sleep(50);
    await second.release();
    const third = await waiting;
    expect(third.token).toBeGreaterThan(second.token);
    expect(second.token).toBeGreaterThan(gone.token);
    await third.release();
  });

  test(
    "C1: is not to be had for all of its time, and renewed for as long as its holder is there",
    async ({ stores }) => {
      const lease = await take(stores, "a");
      for (let times = 0; times < 25; times++) {
        expect(await failed(take(stores, "b", "leases/a", 0))).toBe("CONFLICT");
        await sleep(100);
      }
      expect(lease.held()).toBe(true);
      await lease.release();
    },
  );

  test("F46: its holder knows that it is lost before another has it, when Redis is away", async ({ stand, stores }) => {
    const lease = await take(stores, "a");
    await stand.server.kill();
    await until("it is lost", () => lease.signal.aborted);
    expect([lease.held(), lease.signal.reason.code]).toEqual([false, "TIMEOUT"]);
    await stand.server.restart();
    const next = await take(stores, "b");
    expect(next.token).toBeGreaterThan(lease.token);
    await next.release();
  });

  for (const how of ["FLUSHALL", "a restart without its files"]) {
    test(
      `G10: is lost when Redis has lost its data by ${how}, and the next token is larger`,
      async ({ stand, stores }) => {
        const lease = await take(stores, "a");
        if (how === "FLUSHALL") await stand.open().send(["FLUSHALL"]);
        else await stand.server.restart({ loseFiles: true });
        const next = await take(stores, "b");
        await until("the holder knows", () => lease.signal.aborted);
        expect(["CONFLICT", "TIMEOUT"]).toContain(lease.signal.reason.code);
        expect(next.token).toBeGreaterThan(lease.token);
        expect(next.held()).toBe(true);
        await next.release();
      },
    );
  }

  test("C5, F37: of 50 who ask at once on several connections one gets it", async ({ stores }) => {
    const desks = Array.from(
      { length: 5 },
      (_, at) => createLocks({ ...stores.open(), owner: `p${at}`, ttl: 5000 }),
    );
    const asked = await Promise.allSettled(
      Array.from({ length: 50 }, (_, at) => desks[at % 5]!.acquire("x", { timeout: 0 })),
    );
    expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const desk of desks) await desk[Symbol.asyncDispose]();
  });

  test("F37: those who share one counter lose no step of it", async ({ stores }) => {
    let [counter, inside] = [0, 0];
    const step = async (): Promise<void> => {
      expect(++inside).toBe(1);
      const seen = counter;
      await sleep(1);
      counter = seen + 1;
      inside--;
    };
    const desks = ["a", "b", "c"].map((owner) => createLocks({ ...stores.open(), owner, ttl: 2000 }));
    await Promise.all(Array.from({ length: 60 }, (_, at) => desks[at % 3]!.run("counter", step)));
    expect(counter).toBe(60);
    for (const desk of desks) await desk[Symbol.asyncDispose]();
  });
});

describe("processes", () => {
  test("two fight for a lock for 200 leases, killed and stopped: no two effects overlap", async ({ stand }) => {
    const worker = new URL("./leases_worker.ts", import.meta.url);
    await fightForLock({ worker, args: [stand.url, "fight"], leases: 200 });
  });
});
