/** How often a delivery failed, told apart from how often it was handed out: by kills, drains and lost leases too. */

import { describe, expect, test } from "bun:test";
import { CatgaError, failure, systemFault } from "@catga/catga";
import type { Store } from "@catga/catga/ports";
import { broken, fine, LEASE, Processes, type Work } from "./consumer_processes.ts";
import { DeliveryHistory } from "../../src/durable/delivery_history.ts";
import { changed, faultOf } from "./records_support.ts";

const away = (): Promise<never> => Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away")));
const fails: Work = () => Promise.resolve(broken);

describe("rounds that failed", () => {
  test("are counted apart from hand-outs: after kills a delivery still has all its redeliveries", async () => {
    const place = new Processes();
    await place.push("a");
    await place.lose(2);
    const tried: number[] = [];
    const life = await place.start((_id, _life, attempt) => {
      tried.push(attempt);
      return Promise.resolve(broken);
    }, () => ({ redeliver: [1000, 2000] }));
    await place.runtime.advance(10_000);
    expect([tried, place.buried]).toEqual([[3, 4, 5], ["t/a INTERNAL 3 of 5"]]);
    expect([await place.left(), await place.kept()]).toEqual([0, []]);
    await place.stop(life);
  });

  test("are counted by all processes together, and each is put back for as long as it has its turn", async () => {
    const place = new Processes();
    await place.push("a");
    const times: number[] = [];
    for (let process = 0; process < 4; process++) {
      const life = await place.start(() => {
        times.push(place.runtime.clock.mono());
        return Promise.resolve(broken);
      }, () => ({ redeliver: [1000, 5000, 10_000] }));
      const before = times.length;
      for (let ms = 0; ms < 20_000 && times.length === before; ms += 100) await place.runtime.advance(100);
      await place.stop(life);
    }
    const pauses = times.slice(1).map((time, at) => Math.round((time - times[at]!) / 1000));
    expect([pauses, place.buried]).toEqual([[1, 5, 10], ["t/a INTERNAL 4 of 4"]]);
  });

  test("cost nothing where there are none, and are forgotten when the delivery is done", async () => {
    const place = new Processes();
    const asked: string[] = [];
    let ok = false;
    const life = await place.start(() => Promise.resolve(ok ? fine : broken), () => ({
      store: changed<Store>(place.store, {
        get: (key, options) => (asked.push("get"), place.store.get(key, options)),
        put: (key, value, options) => (asked.push("put"), place.store.put(key, value, options)),
        delete: (key, options) => (asked.push("delete"), place.store.delete(key, options)),
      }),
    }));
    await place.push("a");
    await place.runtime.advance(100);
    expect([asked.splice(0), await place.kept()]).toEqual([["put"], [{
      failed: 1,
      heard: 1,
      alone: 0,
      at: 1,
    }]]);
    ok = true;
    await place.runtime.advance(2000);
    expect([asked.splice(0), await place.kept(), await place.left()]).toEqual([["get", "delete"], [], 0]);
    await place.push("b", "c", "d");
    await place.runtime.advance(100);
    expect([asked, life.consumers[0]!.stats.handled]).toEqual([[], 4]);
    await place.stop(life);
  });

  test("of which nothing is done go of themselves, though not before the delivery comes again", async () => {
    const place = new Processes();
    const month = 30 * 86_400_000;
    const life = await place.start(fails, () => ({ redeliver: [month, 1000] }));
    await place.push("a");
    await place.runtime.advance(100);
    await place.stop(life);
    await place.runtime.advance(month);
    expect(await place.kept()).toHaveLength(1);
    await place.runtime.advance(8 * 86_400_000);
    expect(await place.kept()).toEqual([]);
  });

  test("are told apart by topic and delivery", async () => {
    const place = new Processes(["t", "u"]);
    await place.push("a", "b");
    const life = await place.start(fails, () => ({ redeliver: [1000] }));
    await place.runtime.advance(5000);
    expect(place.buried.toSorted()).toEqual([
      "t/a INTERNAL 2 of 2",
      "t/b INTERNAL 2 of 2",
      "u/a INTERNAL 2 of 2",
      "u/b INTERNAL 2 of 2",
    ]);
    await place.stop(life);
  });

  test("are counted once where the store's answer was lost", async () => {
    const place = new Processes();
    const life = await place.start(fails, () => ({
      redeliver: [1000, 1000, 1000],
      store: changed<Store>(place.store, {
        put: async (key, value, options) => {
          await place.store.put(key, value, options);
          if (put++ % 2 === 0) throw new CatgaError(systemFault("TRANSPORT", "no answer"));
          return 1;
        },
      }),
    }));
    let put = 0;
    await place.push("a");
    await place.runtime.advance(60_000);
    expect(place.buried).toEqual(["t/a INTERNAL 4 of 4"]);
    await place.stop(life);
  });

  test("are counted also where that takes a few tries", async () => {
    const place = new Processes();
    let asked = 0;
    const life = await place.start(fails, () => ({
      redeliver: [1000, 1000],
      store: changed<Store>(place.store, {
        put: (...args) => asked++ % 3 === 2 ? place.store.put(...args) : away(),
      }),
    }));
    await place.push("a");
    await place.runtime.advance(20_000);
    expect(place.buried).toEqual(["t/a INTERNAL 3 of 3"]);
    await place.stop(life);
  });

  test("of whoever had the delivery before undo nothing that the next one has written", async () => {
    const place = new Processes();
    const { store, runtime, queue } = place;
    await place.push("a");
    const histories: DeliveryHistory[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const [delivery] = await queue.pull("t", "g", { max: 1, lease: LEASE });
      const history = new DeliveryHistory({ store, runtime, topic: "t", group: "g" }, delivery!);
      if (attempt > 1) await history.read();
      histories.push(history);
      await runtime.advance(LEASE + 1);
    }
    const [first, second, third] = histories;
    const newest = { failed: 1, heard: 3, alone: 2, at: 3 };
    await third!.write({ failed: 1, heard: 3, alone: 2 }, 0);
    expect(await faultOf(first!.write({ failed: 1, heard: 1, alone: 0 }, 0))).toBe("CONFLICT");
    await second!.givenBack();
    expect(await place.kept()).toEqual([newest]);
    await third!.forget();
    expect(await place.kept()).toEqual([]);
  });

  test("of whoever had the delivery before and was late are not counted, and undo nothing", async () => {
    const place = new Processes();
    await place.push("a");
    const late: (() => Promise<unknown>)[] = [];
    const first = await place.start(fails, (life) => ({
      redeliver: [1000, 1000],
      store: changed<Store>(place.store, {
        put: (key, value, options) => {
          late.push(() => place.store.put(key, value, options));
          life.dead = true;
          return new Promise(() => {});
        },
      }),
    }));
    await place.runtime.advance(LEASE + 1);
    expect([first.dead, late.length]).toEqual([true, 1]);
    const second = await place.start(fails, () => ({
      redeliver: [1000, 1000],
      store: changed<Store>(place.store, {
        // It comes between what the second has read and what it writes.
        put: async (key, value, options) => {
          await late.shift()?.().catch(() => {});
          return await place.store.put(key, value, options);
        },
      }),
    }));
    await place.runtime.advance(100);
    expect(await place.kept()).toEqual([{ failed: 1, heard: 2, alone: 0, at: 2 }]);
    await place.runtime.advance(10_000);
    expect(place.buried).toEqual(["t/a INTERNAL 3 of 4"]);
    await place.stop(second);
  });

  test("that cannot be counted leave the delivery in the queue, until they can be", async () => {
    const place = new Processes();
    let isAway = true;
    const life = await place.start(fails, () => ({
      concurrency: 1,
      store: changed<Store>(place.store, {
        put: (...args) => isAway ? away() : place.store.put(...args),
        get: (...args) => isAway ? away() : place.store.get(...args),
      }),
    }));
    await place.push("a");
    await place.runtime.advance(120_000);
    expect([place.buried, await place.left()]).toEqual([[], 1]);
    expect(life.consumers[0]!.stats.putBack).toBeGreaterThan(2);
    isAway = false;
    await place.runtime.advance(30_000);
    const [buried] = place.buried;
    expect(buried).toMatch(/^t\/a INTERNAL 2 of \d+$/);
    expect([place.buried.length, await place.left()]).toEqual([1, 0]);
    await place.stop(life);
  });

  test("that no store hears of hold up no other delivery", async () => {
    const place = new Processes();
    const done: string[] = [];
    const life = await place.start((id) => {
      if (id === "a") return Promise.resolve(broken);
      done.push(id);
      return Promise.resolve(fine);
    }, () => ({
      concurrency: 1,
      store: changed<Store>(place.store, {
        put: () => new Promise(() => {}),
        get: () => new Promise(() => {}),
      }),
    }));
    await place.push("a", "b", "c");
    await place.runtime.advance(60_000);
    expect(done).toEqual(["b", "c"]);
    await place.stop(life);
    await place.runtime.advance(5000);
    expect(place.runtime.pending()).toBe(0);
  });

  test("without a cure are dead letters at once, however often the delivery was handed out", async () => {
    const place = new Processes();
    await place.push("a");
    await place.lose(2);
    const life = await place.start(() => Promise.resolve(failure(systemFault("VALIDATION", "odd"))));
    await place.runtime.advance(100);
    expect(place.buried).toEqual(["t/a VALIDATION 1 of 3"]);
    await place.stop(life);
  });

  test("are counted too where there was no room for the dead letter", async () => {
    const place = new Processes();
    let isFull = true;
    const buried: string[] = [];
    const life = await place.start(fails, () => ({
      concurrency: 1,
      redeliver: [],
      bury: ({ id }, _fault, { attempts, handedOut }) => {
        if (isFull) return Promise.reject(new CatgaError(systemFault("OVERLOADED", "full")));
        buried.push(`${id} ${attempts} of ${handedOut}`);
        return Promise.resolve();
      },
    }));
    await place.push("a");
    await place.runtime.advance(20_000);
    const [{ failed } = { failed: 0 }] = await place.kept() as { readonly failed: number }[];
    expect(failed).toBeGreaterThan(1);
    isFull = false;
    await place.runtime.advance(10_000);
    const handedOut = Number(buried[0]!.split(" ").at(-1));
    expect(buried).toEqual([`a ${handedOut} of ${handedOut}`]);
    await place.stop(life);
  });
});

describe("a delivery that is given back", () => {
  test("by processes that drain is neither alone nor buried, however often", async () => {
    const place = new Processes();
    await place.push("a");
    for (let drains = 0; drains < 30; drains++) {
      const life = await place.start((_id, _life, _attempt, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(broken)))
      );
      await place.runtime.advance(50);
      const { inFlight, alone } = life.consumers[0]!.stats;
      expect([drains, inFlight, alone]).toEqual([drains, 1, 0]);
      await place.stop(life);
    }
    const tried: number[] = [];
    const life = await place.start((_id, _life, attempt) => {
      tried.push(attempt);
      return Promise.resolve(fine);
    });
    await place.runtime.advance(50);
    expect([tried, place.buried, await place.left(), await place.kept()]).toEqual([[31], [], 0, []]);
    await place.stop(life);
  });

  test("is so at once, also where its store never answers", async () => {
    const place = new Processes();
    await place.push("a");
    const life = await place.start(
      (_id, _life, _attempt, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(broken))),
      () => ({ store: changed<Store>(place.store, { put: () => new Promise(() => {}) }) }),
    );
    await place.runtime.advance(50);
    await place.stop(life);
    expect(await place.queue.pull("t", "g", { max: 1, lease: LEASE })).toHaveLength(1);
    expect(place.runtime.pending()).toBe(0);
  });

  test("since it came when nobody took any more keeps what it had", async () => {
    const place = new Processes();
    await place.push("a");
    const first = await place.start(fails, () => ({ redeliver: [1000, 1000] }));
    await place.runtime.advance(500);
    await place.stop(first);
    // Its pull is answered though it was given up.
    const second = await place.start(fails, () => ({
      queue: changed(place.queue, {
        pull: (topic, group, { signal: _, ...options }) => place.queue.pull(topic, group, options),
      }),
    }));
    await place.stop(second);
    await place.runtime.advance(1000);
    expect(await place.kept()).toEqual([{ failed: 1, heard: 2, alone: 0, at: 2 }]);
    const third = await place.start(fails, () => ({ redeliver: [1000, 1000] }));
    await place.runtime.advance(10_000);
    expect(place.buried).toEqual(["t/a INTERNAL 3 of 4"]);
    await place.stop(third);
  });
});
