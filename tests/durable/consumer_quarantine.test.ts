/** Deliveries that end the process which handles them, and those that only happened to be there. */

import { describe, expect, test } from "bun:test";
import { CatgaError, systemFault } from "@catga/catga";
import type { Queue, Store } from "@catga/catga/ports";
import { CrashPoint, seededRandom } from "@catga/catga/testing";
import { broken, fine, LEASE, type Life, Processes, type Work } from "./consumer_processes.ts";
import { changed } from "./records_support.ts";

/** How often a delivery is handed out unheard before it is alone, and how often its process may end then. */
const UNHEARD = 3;
const ENDED = 10;

describe("a delivery that ends its process each time", () => {
  test(
    "is alone after a few times, takes nobody down from then on, and is buried unseen in the end",
    async () => {
      const place = new Processes(["t", "u"]);
      const bystanders = Array.from({ length: 40 }, (_, at) => `b${at}`);
      await place.push("poison", ...bystanders);
      const done = new Map<string, number>();
      /** What else was being handled when a process ended. */
      const ends: string[][] = [];
      const work: Work = async (id, life) => {
        if (id === "poison") {
          await life.rest(20);
          ends.push([...life.running].filter((each) => each !== "poison"));
          life.dead = true;
          return fine;
        }
        await life.rest(200);
        if (!life.dead) done.set(id, (done.get(id) ?? 0) + 1);
        return fine;
      };
      let life = await place.start(work);
      for (let ms = 0; ms < 400_000 && await place.left() > 0; ms += 100) {
        await place.runtime.advance(100);
        if (life.dead) life = await place.start(work);
      }
      // While one of them is alone, the other waits.
      expect(place.buried.toSorted()).toEqual([
        expect.stringMatching(/^t\/poison INTERNAL 0 of \d+$/),
        expect.stringMatching(/^u\/poison INTERNAL 0 of \d+$/),
      ]);
      expect([await place.left(), await place.kept()]).toEqual([0, []]);
      expect([...done.keys()].toSorted()).toEqual(bystanders.toSorted());
      expect(ends.length).toBeLessThanOrEqual(2 * (UNHEARD + ENDED));
      expect(ends.slice(0, -2 * ENDED).flat().length).toBeGreaterThan(0);
      expect(ends.slice(-2 * ENDED).flat()).toEqual([]);
      await place.stop(life);
    },
    60_000,
  );

  test("keeps the order of its key, and those behind it come when it is buried", async () => {
    const place = new Processes();
    await place.push("k:poison", "k:next", "other");
    const done: string[] = [];
    const work: Work = (id, life) => {
      if (id === "k:poison") life.dead = true;
      else done.push(id);
      return Promise.resolve(fine);
    };
    let life = await place.start(work);
    for (let ms = 0; ms < 100_000 && await place.left() > 0; ms += 100) {
      await place.runtime.advance(100);
      if (life.dead) life = await place.start(work);
      if (place.buried.length === 0) expect(done).not.toContain("k:next");
    }
    expect([place.buried.length, done.at(-1), done.includes("other")]).toEqual([1, "k:next", true]);
    await place.stop(life);
  });

  test("now and then, and fails else, is buried with the rounds that failed", async () => {
    const place = new Processes();
    await place.push("a");
    let times = 0;
    const work: Work = (_id, life) => {
      if (++times % 3 !== 0) life.dead = true;
      return Promise.resolve(broken);
    };
    let life = await place.start(work, () => ({ redeliver: [1000, 1000] }));
    for (let ms = 0; ms < 60_000 && await place.left() > 0; ms += 100) {
      await place.runtime.advance(100);
      if (life.dead) life = await place.start(work, () => ({ redeliver: [1000, 1000] }));
    }
    expect(place.buried).toEqual(["t/a INTERNAL 3 of 9"]);
    await place.stop(life);
  });

  test("is buried unseen by whoever has it next, and stays while it cannot be", async () => {
    const place = new Processes();
    await place.push("a");
    let isFull = true;
    let begun = 0;
    let life: Life | undefined;
    const work: Work = (_id, life) => {
      begun++;
      life.dead = true;
      return Promise.resolve(fine);
    };
    const buried: string[] = [];
    const change = (): object => ({
      concurrency: 1,
      bury: ({ id }: { readonly id: string }, { message }: { readonly message: string }) => {
        if (isFull) return Promise.reject(new CatgaError(systemFault("OVERLOADED", "full")));
        buried.push(`${id} ${message}`);
        return Promise.resolve();
      },
    });
    for (let ms = 0; ms < 120_000; ms += 100) {
      if (life === undefined || life.dead) life = await place.start(work, change);
      await place.runtime.advance(100);
    }
    expect([begun, buried, await place.left()]).toEqual([UNHEARD + ENDED, [], 1]);
    isFull = false;
    await place.runtime.advance(10_000);
    expect([begun, buried, await place.left()]).toEqual([
      UNHEARD + ENDED,
      ["a Its process ended 10 times while nothing else was handled there"],
      0,
    ]);
    await place.stop(life!);
  });
});

describe("a healthy delivery", () => {
  test("is never buried, though processes are killed a hundred times at random", async () => {
    for (const seed of [1, 2, 3]) {
      const random = seededRandom(seed);
      const place = new Processes(["t", "u"], () => random.u32());
      const ids = Array.from({ length: 150 }, (_, at) => `b${at}`);
      await place.push(...ids, ...ids.map((id) => `${id}:second`));
      const done = new Set<string>();
      const work: Work = async (id, life) => {
        await life.rest(random.between(1, 3000));
        if (!life.dead) done.add(id);
        return fine;
      };
      const lives = [await place.start(work), await place.start(work), await place.start(work)];
      for (let kills = 0; kills < 100; kills++) {
        await place.runtime.advance(random.between(50, 2000));
        const victim = random.below(3);
        lives[victim]!.dead = true;
        lives[victim] = await place.start(work);
      }
      for (let s = 0; s < 600 && await place.left() > 0; s++) await place.runtime.advance(1000);
      expect([seed, place.buried, await place.left(), done.size]).toEqual([seed, [], 0, 300]);
      for (const life of lives) await place.stop(life);
    }
  }, 60_000);

  test("that was alone and succeeded leaves nothing behind, and those beside it go on", async () => {
    const place = new Processes();
    await place.push("a");
    await place.lose(UNHEARD);
    const log: string[] = [];
    const life = await place.start(async (id, life) => {
      log.push(`${id} with ${life.running.size}`);
      await life.rest(300);
      return fine;
    });
    await place.runtime.advance(10);
    await place.push("b", "c");
    await place.runtime.advance(100);
    expect([log, await place.kept()]).toEqual([["a with 1"], [{ failed: 0, heard: 0, alone: 1, at: 4 }]]);
    await place.runtime.advance(1000);
    expect([log, await place.kept()]).toEqual([["a with 1", "b with 1", "c with 2"], []]);
    expect(life.consumers[0]!.stats).toMatchObject({ handled: 3, alone: 1, inFlight: 0 });
    expect(place.runtime.entries.filter(({ event }) => event === "consumer.alone")).toHaveLength(1);
    await place.stop(life);
  });

  test("that is alone is tried once, and is a failure like another if it fails", async () => {
    const place = new Processes();
    await place.push("a");
    await place.lose(UNHEARD);
    const tried: string[] = [];
    const life = await place.start((id, { running }, attempt) => {
      tried.push(`${id} ${attempt} of ${running.size}`);
      return Promise.resolve(broken);
    }, () => ({ attempts: 3 }));
    await place.runtime.advance(100);
    expect([tried, await place.kept()]).toEqual([["a 4 of 1"], [{ failed: 1, heard: 4, alone: 0, at: 4 }]]);
    await place.runtime.advance(5000);
    expect(tried).toEqual(["a 4 of 1", "a 5 of 1", "a 5 of 1", "a 5 of 1"]);
    expect(place.buried).toEqual(["t/a INTERNAL 2 of 5"]);
    await place.stop(life);
  });

  test("that is alone waits for those that were begun before, but not for ever", async () => {
    const place = new Processes();
    await place.push("a", "b", "c", "d");
    const taken = await place.queue.pull("t", "g", { max: 4, lease: 10 });
    for (const delivery of taken) {
      if (delivery.id !== "a") await delivery.retry(500 * "abcd".indexOf(delivery.id));
    }
    await place.runtime.advance(11);
    for (let times = 1; times < UNHEARD; times++) {
      await place.queue.pull("t", "g", { max: 1, lease: 10 });
      await place.runtime.advance(11);
    }
    const began = place.runtime.clock.mono();
    const log: string[] = [];
    await place.push("slow");
    const [first] = await place.queue.pull("t", "g", { max: 1, lease: 500 });
    expect(first?.id).toBe("a");
    await first!.retry(100);
    const life = await place.start(async (id, life) => {
      log.push(`${id} ${Math.round((place.runtime.clock.mono() - began) / 100)}`);
      await life.rest(id === "slow" ? 60_000 : 100);
      return fine;
    }, () => ({ lease: 20_000 }));
    await place.runtime.advance(4000);
    expect(log).toEqual(["slow 0"]);
    await place.runtime.advance(3000);
    expect(log).toEqual(["slow 0", "a 51", "b 52", "c 52", "d 52"]);
    await place.runtime.advance(60_000);
    expect([place.buried, await place.left()]).toEqual([[], 0]);
    await place.stop(life);
  });

  test("that is alone begins when those before it are over, or only wait for their next try", async () => {
    const place = new Processes();
    await place.push("a");
    await place.lose(UNHEARD);
    await place.push("b", "c");
    const taken = await place.queue.pull("t", "g", { max: 3, lease: LEASE });
    for (const delivery of taken) await delivery.retry(delivery.id === "a" ? 500 : 0);
    const log: string[] = [];
    const began = place.runtime.clock.mono();
    let tries = 0;
    const life = await place.start(async (id, life) => {
      log.push(`${id} ${place.runtime.clock.mono() - began}`);
      if (id === "c") return ++tries < 5 ? broken : fine;
      await life.rest(id === "b" ? 700 : 50);
      return fine;
    }, () => ({ attempts: 10 }));
    await place.runtime.advance(20_000);
    // The pauses are 50, 100, 200 and 400 ms.
    expect(log).toEqual(["b 0", "c 0", "c 50", "c 150", "c 350", "a 700", "c 750"]);
    expect([await place.left(), life.consumers[0]!.stats.alone]).toEqual([0, 1]);
    await place.stop(life);
  });

  test("that is alone when its process drains did not end it", async () => {
    const place = new Processes();
    await place.push("a");
    for (let drains = 0; drains < 2 * ENDED; drains++) {
      await place.lose(UNHEARD);
      const life = await place.start((_id, _life, _attempt, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(broken)))
      );
      await place.runtime.advance(50);
      expect(life.consumers[0]!.stats.alone).toBe(1);
      await place.stop(life);
    }
    expect((await place.kept()) as unknown).toMatchObject([{ failed: 0, alone: 0 }]);
    const life = await place.start(() => Promise.resolve(fine));
    await place.runtime.advance(50);
    expect([await place.left(), place.buried]).toEqual([0, []]);
    await place.stop(life);
  });

  test("that waits to be alone is given back by a process that drains, and leaves no timer behind", async () => {
    const place = new Processes();
    await place.push("a");
    await place.lose(UNHEARD);
    await place.push("slow");
    const [first] = await place.queue.pull("t", "g", { max: 1, lease: 10 });
    await first!.retry(100);
    const begun: string[] = [];
    const life = await place.start((id, _life, _attempt, signal) => {
      begun.push(id);
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(broken)));
    });
    await place.runtime.advance(1000);
    expect(begun).toEqual(["slow"]);
    await place.stop(life);
    expect([begun, place.runtime.pending()]).toEqual([["slow"], 0]);
    expect(await place.queue.pull("t", "g", { max: 2, lease: LEASE })).toHaveLength(2);
  });

  test("is not begun alone while that cannot be written down", async () => {
    const place = new Processes();
    await place.push("a", "b");
    const [, b] = await place.queue.pull("t", "g", { max: 2, lease: LEASE });
    await b!.ack();
    await place.runtime.advance(LEASE + 1);
    await place.lose(UNHEARD - 1);
    let isAway = true;
    const begun: string[] = [];
    const life = await place.start((id) => (begun.push(id), Promise.resolve(fine)), () => ({
      store: changed<Store>(place.store, {
        put: (...args) => {
          if (isAway) return Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away")));
          return place.store.put(...args);
        },
      }),
    }));
    await place.push("c");
    await place.runtime.advance(30_000);
    expect(begun).toEqual(["c"]);
    isAway = false;
    await place.runtime.advance(10_000);
    expect([begun, await place.left()]).toEqual([["c", "a"], 0]);
    await place.stop(life);
  });
});

describe("a process that ends", () => {
  /** One that has been handed out unheard, and one that fails; the first process ends at its `at`th await. */
  async function run(at: number, when: "before" | "after"): Promise<{
    readonly passed: number;
    readonly buried: readonly string[];
    readonly failures: number;
    readonly rest: readonly unknown[];
  }> {
    const place = new Processes();
    await place.push("a", "bad");
    await place.lose(UNHEARD);
    let failures = 0;
    const point = new CrashPoint({ at, when, crash: () => {} });
    const work: Work = async (id, life) => {
      await life.rest(10);
      if (id === "a") return fine;
      if (!life.dead) failures++;
      return broken;
    };
    const redeliver = [500, 500];
    const first = await place.start(work, (life) => {
      const dying = new CrashPoint({ at, when, crash: () => void (life.dead = true) });
      const wrapped = { queue: dying.wrap<Queue>(place.queue), store: dying.wrap<Store>(place.store) };
      Object.defineProperty(point, "passed", { get: () => dying.passed });
      return { ...wrapped, redeliver, ...buriesOnce(place, life) };
    });
    for (let ms = 0; ms < 5000 && !first.dead; ms += 10) await place.runtime.advance(10);
    if (!first.dead) await place.stop(first);
    const second = await place.start(work, (life) => ({ redeliver, ...buriesOnce(place, life) }));
    for (let ms = 0; ms < 60_000 && await place.left() > 0; ms += 100) await place.runtime.advance(100);
    await place.runtime.advance(100);
    const rest = [await place.left(), ...await place.kept()];
    await place.stop(second);
    return { passed: point.passed, buried: place.buried, failures, rest };
  }

  for (const when of ["before", "after"] as const) {
    test(`${when} any of its awaits loses no delivery, no count, and buries none too soon`, async () => {
      const { passed } = await run(Infinity, when);
      expect(passed).toBeGreaterThan(15);
      for (let at = 1; at <= passed; at++) {
        const { buried, failures, rest } = await run(at, when);
        expect([at, buried.length, buried[0]]).toEqual([
          at,
          1,
          expect.stringMatching(/^t\/bad INTERNAL 3 of \d+$/),
        ]);
        // A round whose end nobody wrote down is done once more; none is left out.
        expect([at, failures >= 3 && failures <= 4]).toEqual([at, true]);
        // Who ends before it has forgotten what is done leaves that to time.
        expect([at, rest[0], rest.length <= 2]).toEqual([at, 0, true]);
      }
    }, 60_000);
  }
});

/** Keeps a dead letter once, as a store of them does. */
function buriesOnce(place: Processes, life: Life): object {
  return {
    bury: (
      { id }: { readonly id: string },
      { code }: { readonly code: string },
      { attempts, handedOut }: { readonly attempts: number; readonly handedOut: number },
    ) => {
      if (life.dead) return new Promise(() => {});
      if (!place.buried.some((each) => each.startsWith(`t/${id} `))) {
        place.buried.push(`t/${id} ${code} ${attempts} of ${handedOut}`);
      }
      return Promise.resolve();
    },
  };
}
