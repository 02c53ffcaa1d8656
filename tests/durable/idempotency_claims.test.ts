/** Owners that crash, stand still or are cut off: another takes over, and nothing of the first is taken after that. */

import { describe, expect, test } from "bun:test";
import { CatgaError, fail, ok, systemFault } from "@catga/catga";
import type { Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import type { Outcome } from "../behaviors/fake_runtime.ts";
import { methods, type Node, type Nodes, nodes, Pay, settle, TTL } from "./idempotency_nodes.ts";

const body = { order: "7" };
const lost = new CatgaError(systemFault("TRANSPORT", "no answer"));

/** A way to the store that can be cut. */
function cable(): { readonly change: (store: Store) => Partial<Store>; cut: boolean } {
  const way = {
    cut: false,
    change: (store: Store): Partial<Store> => ({
      get: (key, options) => way.cut ? Promise.reject(lost) : store.get(key, options),
      put: (key, value, options) => way.cut ? Promise.reject(lost) : store.put(key, value, options),
      delete: (key, options) => way.cut ? Promise.reject(lost) : store.delete(key, options),
    }),
  };
  return way;
}

describe("a claim", () => {
  test("is renewed while the handler runs, and gone when it failed (F10, F31)", async () => {
    const { started, node, time, store } = nodes();
    const call = node("a").send(Pay, body);
    await time.advance(20 * TTL);
    expect([started.length, (await store.list("")).length]).toEqual([1, 1]);
    expect((await store.list(""))[0]!.revision).toBeGreaterThan(50);
    started[0]!.throw(new Error("broken"));
    await settle();
    expect([call.code, await store.list(""), time.pending()]).toEqual(["INTERNAL", [], 0]);
  });

  test("is not renewed any longer once its handler is done, though the store hangs", async () => {
    const { started, node, time } = nodes();
    let puts = 0;
    const change = (store: Store): Partial<Store> => ({
      put: (key, value, options) => ++puts === 2 ? new Promise(() => {}) : store.put(key, value, options),
    });
    const call = node("a", { change }).send(Pay, body);
    await time.advance(TTL / 3);
    expect([puts, time.pending()]).toEqual([2, 2]);
    started[0]!.answer("done");
    await settle();
    expect([call.result, time.pending()]).toEqual([ok("done"), 0]);
  });

  test("of an owner that crashed is taken over, when its time is over and not before (F28)", async () => {
    const { started, node, time } = nodes();
    const way = cable();
    node("a", way).send(Pay, body);
    await settle();
    way.cut = true;
    const second = node("b").send(Pay, body);
    await time.advance(TTL - 1);
    expect(started.length).toBe(1);
    await time.advance(TTL / 2);
    expect(started.map(({ node }) => node)).toEqual(["a", "b"]);
    started[1]!.answer("b's");
    await settle();
    expect(second.result).toEqual(ok("b's"));
  });

  test("whose confirmation comes too late is made anew before the handler starts", async () => {
    const { started, node, time } = nodes();
    let stood = 0;
    const puts: (number | string | undefined)[] = [];
    // The process stands still between what the store did and that it hears of it.
    const change = (store: Store): Partial<Store> => ({
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (puts.push(options?.expected) === 1) stood = TTL;
        return revision;
      },
    });
    const clock = { ...time.clock, mono: () => time.clock.mono() + stood };
    node("a", { change, runtime: { clock } }).send(Pay, body);
    await settle();
    expect([puts, started.length]).toEqual([["absent", 1], 1]);
  });

  test("of an owner that stood still until it was nearly over is not renewed: it has to stop", async () => {
    const { started, node, time } = nodes();
    let stood = 0;
    let puts = 0;
    const change = (store: Store): Partial<Store> => ({
      put: (key, value, options) => (puts++, store.put(key, value, options)),
    });
    const clock = { ...time.clock, mono: () => time.clock.mono() + stood };
    const call = node("a", { change, runtime: { clock } }).send(Pay, body);
    await settle();
    stood = TTL * 0.985 - TTL / 3;
    await time.advance(TTL / 3);
    expect([puts, started[0]!.context.signal.aborted]).toEqual([1, true]);
    started[0]!.throw(new Error("stopped"));
    await time.advance(TTL);
    expect(call.code).toBe("TRANSPORT");
  });

  test("that is lost ends its handler, and what that one still comes to is refused (C7, C14)", async () => {
    const { started, node, time } = nodes();
    const way = cable();
    const first = node("a", way).send(Pay, body);
    await settle();
    way.cut = true;
    const second = node("b").send(Pay, body);
    expect(started[0]!.context.signal.aborted).toBe(false);
    await time.advance(TTL * 1.5);
    expect(started[0]!.context.signal.aborted).toBe(true);
    expect(started[0]!.context.signal.reason.code).toBe("TRANSPORT");
    way.cut = false;
    started[0]!.answer("a's");
    await time.advance(TTL);
    expect([first.code, second.code]).toEqual(["pending", "pending"]);
    started[1]!.answer("b's");
    await time.advance(TTL);
    expect([first.result, second.result]).toEqual([ok("b's"), ok("b's")]);
    expect(time.entries.map(({ event }) => event)).toEqual(["idempotency.superseded"]);
    expect(time.pending()).toBe(0);
  });

  test("that is lost before another has come still takes the answer", async () => {
    const { started, node, time } = nodes();
    const way = cable();
    const first = node("a", way).send(Pay, body);
    await settle();
    way.cut = true;
    await time.advance(TTL);
    way.cut = false;
    started[0]!.answer("a's");
    await time.advance(TTL);
    expect(first.result).toEqual(ok("a's"));
    const second = node("b").send(Pay, body);
    await settle();
    expect([second.result, started.length]).toEqual([ok("a's"), 1]);
  });

  test("that is lost, with a handler that then stops, is TRANSPORT for its caller", async () => {
    const { started, node, time } = nodes();
    const way = cable();
    const a = node("a", way);
    const calls = [a.send(Pay, body), a.send(Pay, body)];
    await settle();
    way.cut = true;
    await time.advance(TTL);
    started[0]!.throw(started[0]!.context.signal.reason);
    await time.advance(TTL);
    // The one who waited has the turn now, and nobody is there to ask.
    await time.advance(2 * TTL);
    expect(calls.map(({ code }) => code)).toEqual(["TRANSPORT", "UNAVAILABLE"]);
    expect(started.length).toBe(1);
  });

  test("that went of a handler that another handled and gave back is nobody's: the failure says so", async () => {
    const { started, node, time } = nodes();
    const way = cable();
    const first = node("a", way).send(Pay, body);
    await settle();
    way.cut = true;
    const second = node("b").send(Pay, body);
    await time.advance(TTL * 1.5);
    way.cut = false;
    started[0]!.answer("a's");
    await time.advance(TTL);
    started[1]!.throw(new Error("broken"));
    await time.advance(TTL);
    expect([first.code, second.code]).toEqual(["TRANSPORT", "INTERNAL"]);
  });
});

/** What a run of the scenario with a crash came to. */
interface Crashed {
  readonly point: CrashPoint;
  readonly second: Outcome;
  readonly third: Outcome;
  readonly world: Nodes;
  readonly runs: number;
}

/** Node a handles a call and crashes; b got the same one meanwhile; c gets it when all is over. */
async function crash(at: number, when: "before" | "after", result: unknown): Promise<Crashed> {
  const world = nodes();
  const point = new CrashPoint({ at, when, crash: () => {} });
  const handler = point.wrap({ handle: (value: unknown) => Promise.resolve(value) });
  const a = world.node("a", { change: (store) => methods(point.wrap(store)) });
  a.send(Pay, body);
  await settle();
  const second = world.node("b").send(Pay, body);
  let served = 0;
  const serve = async (): Promise<void> => {
    await world.time.advance(TTL * 0.7);
    for (; served < world.started.length; served++) {
      const { node, answer } = world.started[served]!;
      if (node !== "a") answer(result);
      else void handler.handle(result).then(answer);
    }
    await settle();
  };
  for (let turns = 0; turns < 12; turns++) await serve();
  const third = world.node("c").send(Pay, body);
  await serve();
  return { point, second, third, world, runs: world.started.length };
}

describe("an owner that crashes at any of its awaits", () => {
  const declined = fail("DECLINED", { left: 1 });
  test.each<readonly [string, unknown]>([["an answer", "done"], ["a failure", declined]])(
    "leaves a call that is recorded once, with %s",
    async (_name, result) => {
      const { point: { passed }, runs } = await crash(Infinity, "before", result);
      // The claim, some renewals, the handler and its record.
      expect(passed).toBeGreaterThanOrEqual(4);
      expect(runs).toBe(1);
      let taken = 0;
      for (let at = 1; at <= passed; at++) {
        for (const when of ["before", "after"] as const) {
          const { point, second, third, world, runs } = await crash(at, when, result);
          expect(point.crashed).toBe(true);
          expect(runs).toBeLessThanOrEqual(2);
          if (runs === 2) taken++;
          expect(`${at} ${when} ${second.code}`).not.toContain("pending");
          expect(third.result).toEqual(second.result!);
          expect((await world.store.list("")).map(({ value }) => value.split(" ")[0])).toEqual(["text"]);
        }
      }
      // A record that was written is never made again.
      expect((await crash(passed, "after", result)).runs).toBe(1);
      expect((await crash(passed, "before", result)).runs).toBe(2);
      expect(taken).toBeGreaterThan(passed - 3);
    },
  );
});

describe("deliveries with 10 copies each", () => {
  test("are handled exactly once each, over three nodes (F12)", async () => {
    const DELIVERIES = "Bun" in globalThis ? 10_000 : 1000;
    const COPIES = 10;
    const BATCH = 100;
    const runs = new Map<string, number>();
    let random = 7;
    const below = (limit: number): number => (random = Math.imul(random, 48_271) >>> 1) % limit;
    let answered = 0;
    // In stores of their own, since one of all is read through for each watch.
    for (let from = 0; from < DELIVERIES; from += BATCH) {
      const { started, node, time } = nodes();
      const group: readonly Node[] = ["a", "b", "c"].map((name) => node(name));
      const calls: { readonly order: string; readonly call: Outcome }[] = [];
      // Some copies come at once, some while it is handled, some after that.
      for (let wave = 0; wave < 4; wave++) {
        for (let at = 0; at < BATCH * COPIES / 4; at++) {
          const order = `${from + (wave * BATCH * COPIES / 4 + at) % BATCH}`;
          calls.push({ order, call: group[below(3)]!.send(Pay, { order }) });
        }
        await time.advance(wave * 20);
        const due = started.splice(0, wave === 3 ? Infinity : below(BATCH));
        for (const { body, answer } of due) {
          runs.set(body.order, (runs.get(body.order) ?? 0) + 1);
          answer(`paid ${body.order}`);
        }
      }
      await time.advance(TTL);
      for (const { order, call } of calls) {
        if (call.result?.ok === true && call.result.value === `paid ${order}`) answered++;
      }
      expect(time.pending()).toBe(0);
    }
    expect([runs.size, answered]).toEqual([DELIVERIES, DELIVERIES * COPIES]);
    expect([...runs.values()].every((count) => count === 1)).toBe(true);
  }, 60_000);
});
