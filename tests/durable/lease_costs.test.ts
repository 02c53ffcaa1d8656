/** What nobody asks for is not made: on Bun and Node it costs more than all the rest of a lease. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { command, createMediator, handle, type } from "@catga/catga";
import { createLocks, idempotent } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Runtime, Store } from "@catga/catga/ports";
import { acquireLease } from "../../src/durable/lease.ts";
import { Ending } from "../../src/internal/ending.ts";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

const Platform = AbortController;
let controllers = 0;

beforeEach(() => {
  controllers = 0;
  globalThis.AbortController = class extends Platform {
    constructor() {
      super();
      controllers++;
    }
  };
});
afterEach(() => {
  globalThis.AbortController = Platform;
});

interface Place {
  readonly time: FakeRuntime;
  readonly runtime: Runtime;
  readonly store: Store;
  /** What goes on in the background, and is not done. */
  open(): number;
}

function place(): Place {
  const time = fakeRuntime();
  let last = 1;
  let open = 0;
  const done = (): void => void open--;
  const runtime: Runtime = {
    ...time,
    random: { u32: () => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0 },
    crypto: { hmac: () => "", hash: (body) => `${body}`.replaceAll(/\W/g, "") },
    background: (work) => {
      open++;
      work.then(done, done);
    },
  };
  return { time, runtime, store: memoryStore({ clock: time.clock }), open: () => open };
}

describe("nobody pays for an abort controller", () => {
  test("but each request of a lock", async () => {
    const { runtime, store } = place();
    const locks = createLocks({ store, runtime, owner: "a" });
    const { signal } = new Platform();
    await (await locks.acquire("x", { signal })).release();
    expect(controllers).toBe(2);
    await locks.run("x", () => {});
    expect(controllers).toBe(4);
  });

  test("but each request of a lease, and who looks at its signal", async () => {
    const { runtime, store } = place();
    const lease = await acquireLease("x", { store, runtime, owner: "a", ttl: 3000, timeout: 1000 });
    expect([controllers, lease.signal === lease.signal, controllers]).toEqual([1, true, 2]);
    await lease.release();
    expect([controllers, lease.signal.reason.code]).toEqual([3, "CANCELLED"]);
  });

  test("but each request of an idempotent command", async () => {
    const { runtime, store } = place();
    const Pay = command("pay", {
      input: type<string>(),
      output: type<string>(),
      idempotency: { key: (id) => id },
    });
    const app = createMediator({
      handlers: [handle(Pay, (id) => id)],
      behaviors: [idempotent({ store })],
      runtime,
    });
    expect(await app.send(Pay("7"))).toMatchObject({ ok: true, value: "7" });
    expect(controllers).toBe(2);
  });
});

test("a lease has one timer, and goes on in the background for as long as it is held", async () => {
  const { time, runtime, store, open } = place();
  const lease = await acquireLease("x", { store, runtime, owner: "a", ttl: 3000, timeout: 1000 });
  await settle();
  expect([time.pending(), open()]).toEqual([1, 1]);
  await time.advance(10_000);
  expect([lease.held(), time.pending(), open()]).toEqual([true, 1, 1]);
  await lease.release();
  await settle();
  expect([lease.held(), time.pending(), open()]).toEqual([false, 0, 0]);
});

test("who waits for long gathers no listeners", async () => {
  const { time, runtime, store } = place();
  const [add, remove] = [Ending.prototype.addEventListener, Ending.prototype.removeEventListener];
  let listeners = 0;
  Ending.prototype.addEventListener = function (...args) {
    listeners++;
    return add.apply(this, args);
  };
  Ending.prototype.removeEventListener = function (...args) {
    listeners--;
    return remove.apply(this, args);
  };
  try {
    const options = { store, runtime, ttl: 3000 };
    const holder = await acquireLease("x", { ...options, owner: "a" });
    const waiter = acquireLease("x", { ...options, owner: "b" });
    await time.advance(10_000);
    const before = listeners;
    expect(before).toBeGreaterThan(0);
    await time.advance(100_000);
    expect(listeners).toBe(before);
    await holder.release();
    await (await waiter).release();
  } finally {
    Object.assign(Ending.prototype, { addEventListener: add, removeEventListener: remove });
  }
});

test("nobody stays a listener of a signal that was given along", async () => {
  const { runtime, store } = place();
  const { signal } = new Platform();
  let listeners = 0;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  await using locks = createLocks({ store, runtime, owner: "a" });
  const lock = await locks.acquire("x", { signal });
  const lease = await acquireLease("y", { store, runtime, owner: "a", ttl: 3000, signal });
  await locks.acquire("x", { signal, timeout: 0 }).catch(() => {});
  expect(listeners).toBe(0);
  await Promise.all([lock.release(), lease.release()]);
});
