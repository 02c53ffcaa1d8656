/** How many commands a node takes for looking: on a clock that is told to go on, with a Redis that is made up. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Store } from "@catga/catga/ports";
import { CommandBudget, type PollingProfile, pollings } from "../../adapters/redis/budget.ts";
import type { Commander } from "../../adapters/redis/commander.ts";
import { redisDiscovery } from "../../adapters/redis/discovery.ts";
import { redisStore } from "../../adapters/redis/store.ts";
import type { Reply } from "../../adapters/redis/wire.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

const MINUTE = 60_000;

/** Answers scripts as a Redis in which something happens or not, and counts them. */
interface MadeUp extends Commander {
  readonly runs: { readonly name: string; readonly at: number }[];
  /** How many changes of others there have been. */
  changes: number;
  /** In how many ms entries that are put there are over; -1 for never. */
  left: number;
}

function madeUp(runtime: FakeRuntime): MadeUp {
  let told = 0;
  const commander: MadeUp = {
    runtime,
    runs: [],
    changes: 0,
    left: -1,
    get sent() {
      return commander.runs.length;
    },
    send: () => Promise.reject(new Error("nothing is sent")),
    run: ({ name }): Promise<Reply> => {
      commander.runs.push({ name, at: runtime.clock.mono() });
      const { changes, left } = commander;
      if (name === "store.list") return Promise.resolve([1, 0, []]);
      if (name === "store.changes") {
        const news = changes > told ? [[changes + 1, "key", "value", left]] : [];
        told = changes;
        return Promise.resolve(["known", changes + 1, 0, news]);
      }
      if (name === "discovery.beat") return Promise.resolve(["listed", 1, 1, null]);
      return Promise.reject(new Error(`${name} is not known`));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return commander;
}

/** Time that is told to go on, and work in the background that fails unseen. */
const patient = (): FakeRuntime => ({ ...fakeRuntime(), background: (work) => void work.catch(() => {}) });

async function watched(store: Store, prefix = "", signal?: AbortSignal): Promise<void> {
  for await (const _ of store.watch(prefix, { signal }));
}

/** How many commands were sent in each of so many minutes, after the first hour. */
async function idle(polling: PollingProfile, minutes: number): Promise<readonly number[]> {
  const runtime = patient();
  const commander = madeUp(runtime);
  const budget = new CommandBudget(runtime.clock, pollings[polling].perMinute);
  await using store = redisStore(commander, { polling, budget });
  void watched(store).catch(() => {});
  const look = redisDiscovery(commander, { polling, budget, endpoint: "a" }).open(runtime);
  await runtime.advance(polling === "default" ? 60 * MINUTE : MINUTE);
  const counts: number[] = [];
  for (let minute = 0; minute < minutes; minute++) {
    const { sent } = commander;
    await runtime.advance(MINUTE);
    counts.push(commander.sent - sent);
  }
  await look[Symbol.asyncDispose]();
  return counts;
}

describe("an idle node that watches and is listed", () => {
  test("takes 9 commands a minute by default, of the 30 that a node may take", async () => {
    for (const count of await idle("default", 30)) expect(count).toBeLessThanOrEqual(10);
    expect((await idle("default", 10)).reduce((sum, count) => sum + count)).toBe(90);
  });

  test("takes 660 with the fast profile", async () => {
    for (const count of await idle("fast", 3)) expect(Math.abs(count - 660)).toBeLessThanOrEqual(2);
  });
});

describe("the budget", () => {
  test("is kept when others write all the time, and each look sees what there is by then", async () => {
    const runtime = patient();
    const commander = madeUp(runtime);
    await using store = redisStore(commander);
    let heard = 0;
    const hear = async (): Promise<void> => {
      for await (const change of store.watch("")) if (change.type === "put") heard++;
    };
    void hear().catch(() => {});
    for (let second = 0; second < 600; second++) {
      commander.changes++;
      await runtime.advance(1000);
    }
    // Ten minutes of ten, and what was saved up.
    expect(commander.sent).toBeLessThanOrEqual(112);
    expect(heard).toBeGreaterThan(80);
  });

  test("is kept when leases run out and are renewed all the time", async () => {
    const runtime = patient();
    const commander = madeUp(runtime);
    await using store = redisStore(commander);
    void watched(store).catch(() => {});
    commander.left = 1000;
    for (let second = 0; second < 600; second++) {
      commander.changes++;
      await runtime.advance(1000);
    }
    expect(commander.sent).toBeLessThanOrEqual(112);
  });

  test("what is known to run out is looked for when its time is over", async () => {
    const runtime = patient();
    const commander = madeUp(runtime);
    await using store = redisStore(commander);
    void watched(store).catch(() => {});
    await runtime.advance(10 * MINUTE);
    Object.assign(commander, { changes: 1, left: 4321 });
    const { sent } = commander;
    while (commander.sent === sent) await runtime.advance(100);
    const { at } = commander.runs.at(-1)!;
    await runtime.advance(MINUTE);
    const looks = commander.runs.map((run) => run.at - at).filter((after) => after > 0);
    expect(looks.some((after) => after >= 4321 && after <= 4330)).toBe(true);
  });

  test("what runs out and is watched no longer is not looked for", async () => {
    const runtime = patient();
    const commander = madeUp(runtime);
    const budget = new CommandBudget(runtime.clock, 10);
    await using store = redisStore(commander, { budget });
    void watched(store, "other").catch(() => {});
    const leaving = new AbortController();
    void watched(store, "key", leaving.signal).catch(() => {});
    await runtime.advance(10 * MINUTE);
    Object.assign(commander, { changes: 1, left: MINUTE });
    await runtime.advance(30_000);
    leaving.abort();
    await runtime.advance(10 * MINUTE);
    const { sent } = commander;
    await runtime.advance(10 * MINUTE);
    expect(commander.sent - sent).toBe(50);
    expect(budget.short).toBe(0);
  });

  test("does not keep a node from being heard of", async () => {
    const runtime = patient();
    const commander = madeUp(runtime);
    const budget = new CommandBudget(runtime.clock, 1);
    const look = redisDiscovery(commander, { budget, endpoint: "a" }).open(runtime);
    await runtime.advance(60 * MINUTE);
    await look[Symbol.asyncDispose]();
    const beats = commander.runs.filter(({ name }) => name === "discovery.beat").map(({ at }) => at);
    const gaps = beats.slice(1).map((at, index) => at - beats[index]!);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(pollings.default.lease / 2);
  });

  test("saves up a minute's worth, and says how much was taken and missing", async () => {
    const runtime = patient();
    const budget = new CommandBudget(runtime.clock, 6);
    const waits = Array.from({ length: 8 }, () => budget.take());
    expect(waits).toEqual([0, 0, 0, 0, 0, 0, 10_000, 10_000]);
    expect([budget.spent, budget.short]).toEqual([6, 2]);
    budget.spend();
    expect(budget.take()).toBe(20_000);
    await runtime.advance(60 * MINUTE);
    expect(Array.from({ length: 7 }, () => budget.take())).toEqual([0, 0, 0, 0, 0, 0, 10_000]);
    expect(() => new CommandBudget(runtime.clock, 0)).toThrow(RangeError);
  });
});

test("F29: scripts are constant: nothing but numbers and parts that are constant stands in their text", () => {
  for (const file of ["store_scripts", "discovery_scripts"]) {
    const text = readFileSync(new URL(`../../adapters/redis/${file}.ts`, import.meta.url), "utf8");
    const lua = text.slice(text.indexOf("const SHARED"));
    const holes = [...lua.matchAll(/\$\{([^}]*)\}/g)].map(([, hole]) => hole!);
    expect(holes.length).toBeGreaterThan(3);
    for (const hole of holes) expect(hole).toMatch(/^[A-Z]+(?: - 1)?$/);
    expect(lua).not.toMatch(/"KEYS"|SCAN|loadstring/);
  }
});
