/** Ten million ids over clocks that jump and processes that end: none comes twice. */

import { describe, expect, test } from "bun:test";
import { CatgaError } from "@catga/catga";
import { leaseWorker, type WorkerLease } from "@catga/catga/durable";
import { type Snowflake, snowflake } from "@catga/catga/ids";
import { memoryStore } from "@catga/catga/memory";
import type { Runtime, Store } from "@catga/catga/ports";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { Order } from "./order.ts";
import { START } from "./support.ts";

const TTL = 300;
const BATCH = 4096;
/** What happens after so many of a hundred parts: the clock jumps by some ms, or the process ends. */
const EVENTS: Readonly<Record<number, number | "stop" | "crash">> = {
  10: 3_600_000,
  20: -3_600_000,
  30: "stop",
  40: -1500,
  45: "crash",
  50: -60_000,
  60: 30_000,
  70: "stop",
  80: -3_600_000,
};

/** A process: its way to the store ends with it. */
interface Life {
  readonly worker: WorkerLease;
  readonly ids: Snowflake;
  end(): void;
}

async function run(
  ids: number,
): Promise<{ made: number; orders: Map<number, Order>; lives: number; refused: number }> {
  const time = fakeRuntime();
  let skew = 0;
  let last = 1;
  const clock = { ...time.clock, wall: () => START + time.clock.mono() + skew };
  const runtime: Runtime = {
    ...time,
    clock,
    random: { u32: () => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0 },
    background: (work) => void work.catch(() => {}),
  };
  const shared = memoryStore({ clock });
  let lives = 0;
  const begin = async (): Promise<Life> => {
    let alive = true;
    const store = new Proxy(shared, {
      get: (target, name) => (...args: unknown[]) =>
        alive ? Reflect.apply(Reflect.get(target, name), target, args) : new Promise(() => {}),
    }) as Store;
    const leased = leaseWorker({ store, runtime, owner: `life-${++lives}`, workers: 4, ttl: TTL });
    await time.advance(TTL);
    const worker = await leased;
    return { worker, ids: snowflake({ clock, worker }), end: () => alive = false };
  };

  const orders = new Map<number, Order>();
  const batch = new BigUint64Array(BATCH);
  let life = await begin();
  let refused = 0;
  let made = 0;
  for (let part = 0; part < 100; part++) {
    const event = EVENTS[part];
    if (typeof event === "number") skew += event;
    else if (event === "crash") {
      life.end();
      life = await begin();
    } else if (event === "stop") {
      await life.worker.release();
      life = await begin();
    }
    while (made < ids * (part + 1) / 100) {
      let order = orders.get(life.worker.worker);
      if (order === undefined) orders.set(life.worker.worker, order = new Order());
      try {
        if (made % (8 * BATCH) === 0) { for (let n = 0; n < BATCH; n++) batch[n] = life.ids.next(); }
        else life.ids.fill(batch);
        order.array(batch);
        made += BATCH;
      } catch (thrown) {
        if (!CatgaError.is(thrown) || !thrown.retryable) throw thrown;
        refused++;
        if (thrown.code === "UNAVAILABLE") {
          await life.worker.release();
          life = await begin();
        }
      }
      // A little less than a batch needs, so that ids run ahead of the clock.
      await time.advance(0.9);
    }
  }
  return { made, orders, lives, refused };
}

describe("F13: ten million ids (a million where that takes long)", () => {
  test("over six clock jumps and three restarts: no duplicate, no disorder, no wait", async () => {
    const wanted = "Bun" in globalThis ? 10_000_000 : 1_000_000;
    const { made, orders, lives } = await run(wanted);
    expect(made).toBeGreaterThanOrEqual(wanted);
    expect([...orders.values()].map(({ disorder }) => disorder)).toEqual([...orders.values()].map(() => 0));
    // Restarts, and new leases where the clock went back far.
    expect(lives).toBeGreaterThanOrEqual(1 + 3 + 2);
    expect([...orders.values()].reduce((sum, { seen }) => sum + seen, 0)).toBeGreaterThanOrEqual(made);
  }, 60_000);
});
