/** One holder at a time over all processes, in order within one. */

import { describe, expect, test } from "bun:test";
import { CatgaError, systemFault } from "@catga/catga";
import { createLocks, type Lease, leaseHolder, type LockOptions, type Locks } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Runtime, Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

const TTL = 3000;

interface Desk {
  readonly time: FakeRuntime;
  readonly runtime: Runtime;
  readonly store: Store;
  locks(owner: string, more?: { waiting?: number; store?: Store }): Locks;
}

function desk(): Desk {
  const time = fakeRuntime();
  let last = 1;
  const u32 = (): number => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0;
  const runtime: Runtime = {
    ...time,
    random: { u32 },
    background: (work) => void work.catch(() => {}),
  };
  const store = memoryStore({ clock: time.clock });
  return {
    time,
    runtime,
    store,
    locks: (owner, more = {}) => createLocks({ store, runtime, owner, ttl: TTL, ...more }),
  };
}

interface Attempt {
  lease: Lease | undefined;
  /** `waiting`, `held` or the code of the failure. */
  state: string;
  error: CatgaError | undefined;
}

function attempt(locks: Locks, name: string, options?: LockOptions): Attempt {
  const made: Attempt = { lease: undefined, state: "waiting", error: undefined };
  locks.acquire(name, options).then(
    (lease) => Object.assign(made, { lease, state: "held" }),
    (error) => Object.assign(made, { error, state: error.code ?? error.name }),
  );
  return made;
}

const held = (attempts: readonly Attempt[]): number =>
  attempts.filter(({ state }) => state === "held").length;

describe("a lock", () => {
  test("is held with a token until it is released, by one of all processes", async () => {
    const { locks, store } = desk();
    const [a, b] = [locks("a"), locks("b")];
    const first = await a.acquire("stock/p1");
    expect([first.held(), first.owner, leaseHolder(await store.get("locks/stock/p1"))]).toEqual([
      true,
      "a",
      { owner: "a", token: first.token },
    ]);
    const second = attempt(b, "stock/p1");
    const other = await b.acquire("stock/p2");
    await settle();
    expect(second.state).toBe("waiting");
    await first.release();
    await settle();
    expect(second.lease!.token).toBeGreaterThan(first.token);
    expect(other.held()).toBe(true);
  });

  test("C5, F37: of 100 who ask at once one gets it, in one process and in a hundred", async () => {
    for (const processes of [1, 100]) {
      const { locks, time } = desk();
      const desks = Array.from({ length: processes }, (_, index) => locks(`p${index}`));
      const attempts = Array.from(
        { length: 100 },
        (_, index) => attempt(desks[index % processes]!, "x", { timeout: 0 }),
      );
      await time.advance(TTL);
      expect(attempts.filter(({ state }) => state === "CONFLICT")).toHaveLength(99);
      expect(held(attempts)).toBe(1);
    }
  });

  test("F37: two processes that share one counter lose no step of it", async () => {
    const { locks, time } = desk();
    let counter = 0;
    let inside = 0;
    const step = async (): Promise<void> => {
      expect(++inside).toBe(1);
      const seen = counter;
      for (let turns = 0; turns < 5; turns++) await Promise.resolve();
      counter = seen + 1;
      inside--;
    };
    const desks = [locks("a"), locks("b")];
    const work = Array.from({ length: 100 }, (_, index) =>
      desks[index % 2]!.run("counter", step, {
        timeout: Infinity,
      }));
    await pass(time, 60_000);
    await Promise.all(work);
    expect(counter).toBe(100);
  });

  test("F46: is not believed to be held when its time is over, and is renewed until then", async () => {
    const { locks, time, store } = desk();
    let fails = false;
    const unsteady: Store = changed(store, {
      put: (key, value, options) => fails ? refusal() : store.put(key, value, options),
    });
    const lease = await locks("a", { store: unsteady }).acquire("x");
    await time.advance(10 * TTL);
    expect(lease.held()).toBe(true);
    fails = true;
    await time.advance(TTL);
    expect([lease.held(), lease.signal.aborted, lease.signal.reason.code]).toEqual([false, true, "TIMEOUT"]);
    const next = await locks("b").acquire("x");
    expect(next.token).toBeGreaterThan(lease.token);
  });

  test("is given to those of one process in the order in which they asked", async () => {
    const { locks, time } = desk();
    const a = locks("a");
    const order: number[] = [];
    const work = Array.from({ length: 20 }, (_, index) => a.run("x", () => void order.push(index)));
    await pass(time, 1000);
    await Promise.all(work);
    expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test("goes round between processes of which each always has somebody waiting", async () => {
    const { locks, time } = desk();
    const counts = [0, 0];
    let over = false;
    for (const [index, owner] of ["a", "b"].entries()) {
      const own = locks(owner);
      for (let many = 0; many < 4; many++) {
        void (async () => {
          while (!over) {
            await own.run("x", () => new Promise<void>((resolve) => void time.clock.timer(1, resolve)), {
              timeout: Infinity,
            });
            counts[index]!++;
          }
        })();
      }
    }
    await time.advance(5000);
    over = true;
    await time.advance(1000);
    expect(Math.min(...counts)).toBeGreaterThan(Math.max(...counts) / 4);
  });
});

describe("who waits for a lock", () => {
  test("gives up after its time or with its signal, wherever it stands, and the next one gets it", async () => {
    const { locks, time } = desk();
    const a = locks("a");
    const lease = await a.acquire("x");
    const controller = new AbortController();
    const late = attempt(a, "x", { timeout: 1000 });
    const gone = attempt(a, "x", { signal: controller.signal });
    const patient = attempt(a, "x", { timeout: Infinity });
    controller.abort();
    await settle();
    expect([late.state, gone.state]).toEqual(["waiting", "CANCELLED"]);
    await time.advance(1000);
    expect([late.state, late.error!.data]).toEqual(["TIMEOUT", {
      holder: { owner: "a", token: lease.token },
    }]);
    await lease.release();
    await settle();
    expect(patient.state).toBe("held");
  });

  test("counts the time in the line and at the store as one", async () => {
    const { locks, time, store } = desk();
    const a = locks("a");
    const lease = await a.acquire("x");
    const next = attempt(a, "x", { timeout: 2000 });
    await time.advance(1500);
    await store.put("locks/x", JSON.stringify({ owner: "z", id: "z" }));
    const { revision: token } = (await store.get("locks/x"))!;
    await lease.release();
    await time.advance(499);
    expect(next.state).toBe("waiting");
    await time.advance(1);
    expect([next.state, next.error!.data]).toEqual(["TIMEOUT", { holder: { owner: "z", token } }]);
  });

  test("is refused at once when too many wait already", async () => {
    const { locks } = desk();
    const a = locks("a", { waiting: 2 });
    const lease = await a.acquire("x");
    const attempts = [1, 2, 3].map(() => attempt(a, "x"));
    await settle();
    expect(attempts.map(({ state }) => state)).toEqual(["waiting", "waiting", "OVERLOADED"]);
    expect(attempts[2]!.error!.retryable).toBe(true);
    expect((await a.acquire("y")).held()).toBe(true);
    await lease.release();
    await settle();
    expect(attempts[0]!.state).toBe("held");
  });

  test("goes on when who was before it failed", async () => {
    const { locks, store, time } = desk();
    let asked = 0;
    const put: Store["put"] = (key, value, options) =>
      ++asked === 1
        ? Promise.reject(new CatgaError(systemFault("VALIDATION", "no such store")))
        : store.put(key, value, options);
    const a = locks("a", { store: changed(store, { put }) });
    const [first, second] = [attempt(a, "x"), attempt(a, "x")];
    await time.advance(100);
    expect([first.state, second.state]).toEqual(["VALIDATION", "held"]);
  });

  test("is refused with numbers that cannot be", async () => {
    const { locks, store, runtime } = desk();
    for (const timeout of [-1, NaN]) {
      expect((await locks("a").acquire("x", { timeout }).catch((error) => error)).name).toBe("RangeError");
    }
    for (const more of [{ ttl: 50 }, { ttl: Infinity }, { waiting: -1 }, { waiting: NaN }]) {
      expect(() => createLocks({ store, runtime, owner: "a", ...more })).toThrow(RangeError);
    }
  });
});

describe("work under a lock", () => {
  test("answers its value, or throws what it throws, and the lock is free", async () => {
    const { locks, store } = desk();
    const a = locks("a");
    expect(await a.run("x", ({ token }) => token)).toBe(1);
    expect(await store.get("locks/x")).toBe(undefined);
    expect(await a.run("x", () => Promise.reject(new Error("own"))).catch(({ message }) => message)).toBe(
      "own",
    );
    expect(await store.get("locks/x")).toBe(undefined);
    expect(await a.run("x", async (lease) => (await lease.release(), "early"))).toBe("early");
  });

  test("fails when the lock was lost while it ran, whatever it answers", async () => {
    const { locks, store, time } = desk();
    const a = locks("a");
    let go = (): void => {};
    const work = a.run("x", () => new Promise<void>((resolve) => go = resolve)).catch((error) => error);
    await settle();
    await store.delete("locks/x");
    await time.advance(TTL);
    go();
    expect((await work).code).toBe("CONFLICT");
  });
});

test("locks that are disposed of let go, refuse who waits and leave nothing behind", async () => {
  const { locks, store, time } = desk();
  const a = locks("a");
  const lease = await a.acquire("x");
  const waiting = [attempt(a, "x"), attempt(a, "x")];
  await a[Symbol.asyncDispose]();
  expect([lease.held(), await store.get("locks/x")]).toEqual([false, undefined]);
  await settle();
  expect([...waiting, attempt(a, "x")].map(({ state }) => state)).toEqual([
    "CANCELLED",
    "CANCELLED",
    "waiting",
  ]);
  expect((await a.acquire("x").catch((error) => error)).code).toBe("CANCELLED");
  await time.advance(TTL);
  expect(time.pending()).toBe(0);
});

describe("a process that ends", () => {
  test("at any of its steps leaves a lock that another gets, with a larger token", async () => {
    const life = async (at: number, when: "before" | "after"): Promise<number> => {
      const { locks, store, runtime, time } = desk();
      let ended = false;
      const point = new CrashPoint({ at, when, crash: () => ended = true });
      const tokens: number[] = [];
      const dying: Runtime = {
        ...runtime,
        clock: { ...time.clock, timer: (ms, run) => time.clock.timer(ms, () => ended || run()) },
      };
      const own = createLocks({ store: point.wrap(store), runtime: dying, owner: "a", ttl: TTL });
      for (let turns = 0; turns < 2; turns++) {
        void own.run("x", ({ token }) => {
          tokens.push(token);
          return new Promise<void>((resolve) => void dying.clock.timer(TTL, resolve));
        });
      }
      await time.advance(3 * TTL);
      const next = attempt(locks("b"), "x", { timeout: 2 * TTL });
      await time.advance(2 * TTL);
      expect(next.state).toBe("held");
      expect(next.lease!.token).toBeGreaterThan(Math.max(0, ...tokens));
      return point.passed;
    };
    const steps = await life(Infinity, "before");
    expect(steps).toBeGreaterThan(7);
    for (let at = 1; at <= steps; at++) for (const when of ["before", "after"] as const) await life(at, when);
  });
});

function changed(store: Store, change: Partial<Store>): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    ...change,
  };
}

/** Lets time pass in steps, so that what goes on without a timer gets far enough. */
async function pass(time: FakeRuntime, ms: number): Promise<void> {
  for (let step = 0; step < 100; step++) await time.advance(ms / 100);
}

function refusal(): Promise<never> {
  return Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "refused")));
}
