/** Messages for later: each firing once in the cluster, on time, however far away. */

import { describe, expect, test } from "bun:test";
import { CatgaError, command, failure, ok, reliableEvent, systemFault, type } from "@catga/catga";
import { deadLetters, type Deliver, type Scheduler, schedules, startScheduler } from "@catga/catga/durable";
import type { Runtime, Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import { changed, type Desk, desk, faultOf, now, pass } from "./records_support.ts";

const DAY = 86_400_000;
const Remind = command("remind", { input: type<string>(), output: type<void>() });
const Rung = reliableEvent("rung", { data: type<string>() });

interface Told {
  readonly id: string;
  readonly body: unknown;
  readonly time: number;
}

interface Bench extends Desk {
  readonly told: Told[];
  readonly scheduler: Scheduler;
}

type Change = Partial<Parameters<typeof startScheduler>[0]>;

function startOn(place: Desk, told: Told[], change: Change = {}): Scheduler {
  const { runtime, store, time } = place;
  const deliver: Deliver = (message, { id }) => {
    told.push({ id, body: message.body, time: time.clock.mono() });
    return Promise.resolve();
  };
  return startScheduler({ store, runtime, owner: "a", deliver, ...change });
}

function bench(change: Change = {}): Bench {
  const place = desk();
  const told: Told[] = [];
  return { ...place, told, scheduler: startOn(place, told, change) };
}

/** A runtime whose wall clock is off by what the test says. */
function skewed(runtime: Runtime): { readonly runtime: Runtime; skew: number } {
  const { clock } = runtime;
  const off = { skew: 0, runtime: { ...runtime, clock: { ...clock, wall: () => clock.wall() + off.skew } } };
  return off;
}

async function stopped({ scheduler, time, store }: Bench): Promise<void> {
  await now(scheduler.stop());
  expect(await store.list("leases/")).toEqual([]);
  expect(time.pending()).toBe(0);
}

describe("what happens once", () => {
  test("is delivered at its time, and not before", async () => {
    const place = bench();
    const { scheduler, time, told } = place;
    await pass(time, 99_000);
    await now(scheduler.at(150_000, Remind("a")));
    await now(scheduler.in(70_500.2, Rung("b"), { name: "bee" }));
    await pass(time, 49_999);
    expect(told).toEqual([]);
    await pass(time, 1);
    expect(told).toMatchObject([{ body: "a", time: 150_000 }]);
    await pass(time, 100_000);
    expect(told[1]).toEqual({ id: "bee@170501", body: "b", time: 170_501 });
    expect(told).toHaveLength(2);
    expect(await now(scheduler.list())).toEqual([]);
    expect(await place.store.list("schedules/at/")).toEqual([]);
    await stopped(place);
  });

  test("is delivered at once when its time is over, or was before anybody was there", async () => {
    const place = bench();
    const { scheduler, time, told } = place;
    await pass(time, 50_000);
    await now(scheduler.at(3, Remind("over")));
    await pass(time, 0);
    expect(told).toMatchObject([{ body: "over", time: 51_000 }]);
    await now(scheduler.stop());
    await now(scheduler.in(100, Remind("alone")));
    await pass(time, 100_000);
    const second = startOn(place, told);
    await pass(time, 10);
    expect(told).toMatchObject([{ body: "over" }, { body: "alone" }]);
    await now(second.stop());
  });

  test.each([24, 25, 49.7, 50, 365, 3650])("is exact after %p days", async (days) => {
    const place = bench({ poll: 5000 });
    const { scheduler, time, told } = place;
    // Only the first and the last hour are lived through.
    await pass(time, 1000);
    const delay = Math.round(days * DAY);
    const due = time.clock.wall() + delay;
    await now(scheduler.in(delay, Remind("far")));
    await pass(time, 10_000);
    await now(scheduler.stop());
    await time.advance(due - time.clock.wall() - 20_000);
    const second = startOn(place, told);
    await pass(time, 19_999);
    expect(told).toEqual([]);
    await pass(time, 1);
    expect(told).toMatchObject([{ body: "far", time: due }]);
    await now(second.stop());
  });

  test("scheduled in the process that delivers waits for neither watch nor poll", async () => {
    const { store } = desk();
    // deno-lint-ignore require-yield
    const deaf = async function* (
      _: string,
      { signal }: { signal?: AbortSignal | undefined } = {},
    ): AsyncGenerator<never> {
      await new Promise<void>((resolve) =>
        signal?.addEventListener("abort", () => resolve(), { once: true })
      );
    };
    const place = bench({ store: changed<Store>(store, { watch: deaf }), poll: 5000 });
    const { scheduler, time, told } = place;
    await pass(time, 10);
    await now(scheduler.in(0, Remind("now")));
    await now(scheduler.in(2000, Remind("soon")));
    await now(scheduler.cron("tick", "* * * * *", Rung("tick")));
    await pass(time, 0);
    expect(told).toMatchObject([{ body: "now" }]);
    await pass(time, 2000);
    expect(told).toMatchObject([{ body: "now" }, { body: "soon", time: 3010 }]);
    await stopped(place);
  });

  test("scheduled by another process is noticed at once when it is soon, else in time", async () => {
    const place = bench();
    const { store, runtime, time, told } = place;
    const other = schedules({ store, runtime });
    await pass(time, 10);
    await now(other.in(0, Remind("now")));
    await pass(time, 0);
    expect(told).toMatchObject([{ body: "now" }]);
    await now(other.in(5001, Remind("later")));
    await pass(time, 5001);
    expect(told).toMatchObject([{ body: "now" }, { body: "later", time: 6011 }]);
    await stopped(place);
  });

  test("under one name and time is one, also when an answer was lost", async () => {
    const { time, runtime, store } = desk();
    let left = 1;
    const flaky = changed<Store>(store, {
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (left-- > 0) throw new CatgaError(systemFault("TRANSPORT", "no answer"));
        return revision;
      },
    });
    const later = schedules({ store: flaky, runtime });
    const first = later.at(9_000_000, Remind("first"), { name: "one" });
    await pass(time, 5000);
    expect((await now(first)).id).toBe("one@9000000");
    await now(later.at(9_000_000, Remind("second"), { name: "one" }));
    await now(later.at(9_000_001, Remind("third"), { name: "one" }));
    expect((await now(later.list())).map(({ id, message }) => [id, message.body])).toEqual([
      ["one@9000000", "first"],
      ["one@9000001", "third"],
    ]);
  });

  test("is in the order of time in the store, and many are no burden", async () => {
    const place = bench({ concurrency: 10 });
    const { scheduler, time, told } = place;
    await pass(time, 10);
    const due = time.clock.wall() + 10_000;
    for (let n = 0; n < 1000; n++) await now(scheduler.at(due + (n * 7919) % 1000, Remind(`${n}`)));
    const listed = (await now(scheduler.list())).map(({ time }) => time);
    expect(listed).toEqual([...listed].sort((a, b) => a - b));
    for (let ms = 0; ms < 120; ms++) await pass(time, 100);
    expect(new Set(told.map(({ id }) => id)).size).toBe(1000);
    expect(told).toHaveLength(1000);
    await stopped(place);
  });

  test("can be called off until it is due, exactly", async () => {
    const place = bench();
    const { scheduler, time, told } = place;
    await pass(time, 10);
    const { id } = await now(scheduler.in(1000, Remind("a")));
    expect(await now(scheduler.cancel(id))).toBe(true);
    expect(await now(scheduler.cancel(id))).toBe(false);
    expect(await now(scheduler.cancel("nobody"))).toBe(false);
    expect(await now(scheduler.cancel("no@body"))).toBe(false);
    await pass(time, 5000);
    expect(told).toEqual([]);
    await stopped(place);
  });

  test("that was called off is not brought back by a write that comes late (found by simulation, seed 4)", async () => {
    const place = bench();
    const { scheduler, time, told, store, runtime } = place;
    await pass(time, 10);
    const late: (() => Promise<unknown>)[] = [];
    const slow = changed<Store>(store, {
      put: (key, value, options) => {
        if (late.length > 0 || !key.startsWith("schedules/at/")) return store.put(key, value, options);
        late.push(() => store.put(key, value, options));
        return Promise.reject(new CatgaError(systemFault("TRANSPORT", "no answer")));
      },
    });
    const scheduled = schedules({ store: slow, runtime }).in(20_000, Remind("a"), { name: "one" });
    await pass(time, 1000);
    const { id } = await now(scheduled);
    expect(await now(scheduler.cancel(id))).toBe(true);
    expect(await faultOf(late[0]!())).toBe("CONFLICT");
    await pass(time, 30_000);
    expect(told).toEqual([]);
    // Whoever wants it again gets it.
    await now(scheduler.at(Number(id.split("@")[1]), Remind("again"), { name: "one" }));
    await pass(time, 2000);
    expect(told).toMatchObject([{ body: "again" }]);
    await pass(time, 200_000);
    expect(await store.list("schedules/at/")).toEqual([]);
    await stopped(place);
  });

  test("that was called off in thousands hides nothing that is due", async () => {
    const place = bench();
    const { scheduler, time, told } = place;
    await pass(time, 10);
    for (let n = 0; n < 1000; n++) {
      const { id } = await now(scheduler.at(20_000, Remind("off"), { name: `a${n}` }));
      expect(await now(scheduler.cancel(id))).toBe(true);
    }
    await now(scheduler.at(20_000, Remind("on"), { name: "z" }));
    await pass(time, 21_000, 200);
    expect(told).toMatchObject([{ body: "on" }]);
    await stopped(place);
  });

  test("cannot be called off while it is delivered, and is not delivered once it was called off", async () => {
    for (let early = 0; early < 12; early++) {
      const place = desk();
      const told: Told[] = [];
      const { store, time } = place;
      let asked = 0;
      let cancelled: Promise<boolean> | undefined;
      const cancels = schedules(place);
      const meet = (): void => {
        if (++asked === early) cancelled = cancels.cancel("one@50000");
      };
      const met = changed<Store>(store, {
        list: (prefix, options) => (meet(), store.list(prefix, options)),
        put: (key, value, options) => (meet(), store.put(key, value, options)),
        delete: (key, options) => (meet(), store.delete(key, options)),
      });
      await now(cancels.at(50_000, Remind("a"), { name: "one" }));
      await time.advance(60_000);
      const scheduler = startOn(place, told, { store: met });
      await pass(time, 5000);
      expect(await cancelled ?? false).toBe(told.length === 0);
      await now(scheduler.stop());
    }
  });

  test("waits while it cannot be delivered, under the same id, and holds up nothing else", async () => {
    const told: Told[] = [];
    const tried = new Map<string, number>();
    let broken = true;
    const place = bench({
      deliver: (message, { id }) => {
        tried.set(id, (tried.get(id) ?? 0) + 1);
        if (broken && (message.body as string).startsWith("bad")) {
          return message.body === "bad thrown"
            ? Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away")))
            : Promise.resolve(failure(systemFault("UNAVAILABLE", "away")));
        }
        told.push({ id, body: message.body, time: 0 });
        return Promise.resolve(ok(undefined));
      },
    });
    const { scheduler, time } = place;
    for (let n = 0; n < 300; n++) {
      await now(scheduler.at(10 + n, Remind("bad"), { name: `bad-${n}` }));
    }
    await now(scheduler.at(10, Remind("bad thrown"), { name: "thrown" }));
    await now(scheduler.at(90_000, Remind("good")));
    for (let s = 0; s < 120; s++) await pass(time, 1000);
    expect(told).toMatchObject([{ body: "good" }]);
    expect(scheduler.backlog()).toMatchObject({ active: true, failing: 301, delivered: 1 });
    expect(tried.get("bad-0@10")).toBeLessThan(120);
    broken = false;
    for (let s = 0; s < 10; s++) await pass(time, 1000);
    expect(told).toHaveLength(302);
    expect(new Set(told.map(({ id }) => id)).size).toBe(302);
    await stopped(place);
  });

  test("is delivered once though the store does not hear of it at once", async () => {
    const place = desk();
    const told: Told[] = [];
    const { store, time } = place;
    let left = 3;
    const away = (): boolean => left > 0 && left-- > 0;
    const fault = (): Promise<never> => Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away")));
    const flaky = changed<Store>(store, {
      delete: (key, options) => key.startsWith("schedules/") && away() ? fault() : store.delete(key, options),
      put: (key, value, options) =>
        key.startsWith("schedules/cron") && !value.includes('"firing"') && away()
          ? fault()
          : store.put(key, value, options),
    });
    const later = schedules(place);
    await now(later.at(30_000, Remind("once"), { name: "once" }));
    await now(later.cron("tick", "* * * * *", Rung("tick")));
    const scheduler = startOn(place, told, { store: flaky });
    for (let s = 0; s < 55; s++) await pass(time, 1000);
    expect([told.map(({ id }) => id), left]).toEqual([["once@30000"], 0]);
    left = 3;
    for (let s = 0; s < 45; s++) await pass(time, 1000);
    expect([told.map(({ id }) => id), left]).toEqual([["once@30000", "tick@60000"], 0]);
    await now(scheduler.stop());
  });

  test("is a dead letter when it never can be delivered, with why and how often, and somebody hears of it", async () => {
    const place = bench({
      deliver: () => Promise.resolve(failure(systemFault("NO_HANDLER", "nobody serves it"))),
    });
    const { scheduler, time, store, runtime } = place;
    await now(scheduler.at(10, Remind("never"), { name: "never", headers: { tenant: "t" } }));
    await store.put("schedules/at/0000000000000011/broken", "no schedule");
    for (let s = 0; s < 60; s++) await pass(time, 1000);
    expect(await store.list("schedules/at/")).toEqual([]);
    expect(await now(scheduler.list())).toEqual([]);
    const letters = deadLetters(store, { runtime });
    const listed = (await letters.list({ group: "schedules" })).letters;
    expect(listed).toMatchObject([
      { topic: "schedules/", id: "broken@11", pushed: 11, attempts: 1, code: "SERIALIZATION" },
      {
        topic: "schedules/remind",
        id: "never@10",
        pushed: 10,
        attempts: 10,
        replays: 0,
        code: "NO_HANDLER",
        message: "nobody serves it",
      },
    ]);
    expect((await letters.show(listed[0]!.name))?.payload).toBe("no schedule");
    expect((await letters.show(listed[1]!.name))?.content).toEqual({
      type: "remind",
      id: "never@10",
      body: "never",
      correlationId: undefined,
      causationId: undefined,
      headers: { tenant: "t" },
    });
    const alarms = time.entries.filter(({ event }) => event === "scheduler.buried").map(({ fields }) =>
      fields?.["code"]
    );
    expect(alarms.sort()).toEqual(["NO_HANDLER", "SERIALIZATION"]);
    await stopped(place);
  });

  test("is counted by all schedulers together until it is a dead letter", async () => {
    const place = desk();
    const { time, store, runtime } = place;
    let tries = 0;
    const deliver: Deliver = () => {
      tries++;
      return Promise.resolve(failure(systemFault("VALIDATION", "odd")));
    };
    await now(schedules(place).at(10, Remind("never"), { name: "never" }));
    const letters = deadLetters(store, { runtime });
    for (let term = 0; (await letters.list()).total === 0 && term < 20; term++) {
      const before = tries;
      const scheduler = startOn(place, [], { deliver });
      for (let s = 0; s < 10 && tries < before + 2; s++) await pass(time, 1000);
      await now(scheduler.stop());
    }
    expect(tries).toBe(10);
    expect((await letters.list()).letters).toMatchObject([{ id: "never@10", attempts: 10 }]);
  });

  test("may fail with CONFLICT like with anything else", async () => {
    const place = bench({ deliver: () => Promise.resolve(failure(systemFault("CONFLICT", "not so"))) });
    const { scheduler, time, store, runtime } = place;
    await now(scheduler.at(10, Remind("never")));
    const soon = 2;
    for (let s = 0; s < soon; s++) await pass(time, 1000);
    expect(scheduler.backlog().failing).toBe(1);
    for (let s = 0; s < 60; s++) await pass(time, 1000);
    expect((await deadLetters(store, { runtime }).list()).letters).toMatchObject([{ code: "CONFLICT" }]);
    await stopped(place);
  });

  test("stays where it is while it cannot become a dead letter", async () => {
    const inner = desk();
    let full = true;
    const store = changed<Store>(inner.store, {
      put: (key, ...rest) =>
        full && key.startsWith("dead-letters/")
          ? Promise.reject(new CatgaError(systemFault("OVERLOADED", "full")))
          : inner.store.put(key, ...rest),
    });
    const place = { ...inner, store };
    const deliver: Deliver = () => Promise.resolve(failure(systemFault("VALIDATION", "odd")));
    const scheduler = startOn(place, [], { deliver });
    await pass(place.time, 10);
    await now(scheduler.at(10, Remind("never")));
    for (let s = 0; s < 100; s++) await pass(place.time, 1000);
    expect(await now(scheduler.list())).toHaveLength(1);
    full = false;
    for (let s = 0; s < 10; s++) await pass(place.time, 1000);
    expect(await now(scheduler.list())).toEqual([]);
    expect((await deadLetters(inner.store, place).list()).letters).toMatchObject([{ attempts: 10 }]);
    await now(scheduler.stop());
  });

  test("and whose dead letter is replayed comes at once, under the same id, and is replayed once more", async () => {
    const told: Told[] = [];
    let broken = true;
    const place = bench({
      deliver: (message, { id, headers }) => {
        if (broken) return Promise.resolve(failure(systemFault("VALIDATION", "odd")));
        told.push({ id, body: [message, headers], time: 0 });
        return Promise.resolve();
      },
    });
    const { scheduler, time, store, queue, runtime } = place;
    const name = "n".repeat(100);
    const message = { kind: "command", type: "remind", body: "x" };
    await now(scheduler.at(10, Remind("x"), { name, headers: { tenant: "t" } }));
    const letters = deadLetters(store, { runtime });
    const listed = async (): Promise<unknown> => (await letters.list()).letters;
    for (let replays = 0; replays < 3; replays++) {
      for (let s = 0; s < 60; s++) await pass(time, 1000);
      expect(await listed()).toMatchObject([{ replays, attempts: 10, code: "VALIDATION", pushed: 10 }]);
      broken = replays < 2;
      expect(await now(letters.replay({ group: "schedules" }, { queue }))).toBe(1);
      expect(await listed()).toEqual([]);
    }
    for (let s = 0; s < 5; s++) await pass(time, 1000);
    expect(told).toEqual([{ id: `${name}@10`, body: [message, { tenant: "t" }], time: 0 }]);
    expect(await listed()).toEqual([]);
    await stopped(place);
  });

  test("and whose dead letter is replayed is no other that has its time and name by now", async () => {
    const { store, runtime, time, queue } = desk();
    const later = schedules({ store, runtime });
    const letters = deadLetters(store, { runtime });
    const odd: Deliver = () => Promise.resolve(failure(systemFault("VALIDATION", "odd")));
    const scheduler = startScheduler({ store, runtime, owner: "a", deliver: odd });
    await now(later.at(10, Remind("a"), { name: "one" }));
    for (let s = 0; s < 60; s++) await pass(time, 1000);
    await now(scheduler.stop());
    const { id } = await now(later.at(10, Remind("b"), { name: "one" }));
    expect(await faultOf(now(letters.replay({}, { queue })))).toBe("CONFLICT");
    expect((await letters.list()).total).toBe(1);
    expect(await now(later.cancel(id))).toBe(true);
    expect(await now(letters.replay({}, { queue }))).toBe(1);
    expect(await now(later.list())).toMatchObject([{ id: "one@10", message: { body: "a" } }]);
  });

  test("and whose dead letter is replayed comes once, also where the store's answer was lost", async () => {
    const told: string[] = [];
    let broken = true;
    const place = bench({
      deliver: (_, { id }) => {
        if (broken) return Promise.resolve(failure(systemFault("VALIDATION", "odd")));
        told.push(id);
        return Promise.resolve();
      },
    });
    const { scheduler, time, store, queue, runtime } = place;
    await now(scheduler.at(10, Remind("x"), { name: "one" }));
    for (let s = 0; s < 60; s++) await pass(time, 1000);
    await now(scheduler.stop());
    broken = false;
    let lost = 0;
    const flaky = changed<Store>(store, {
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (key.startsWith("schedules/at/") && lost++ === 0) {
          throw new CatgaError(systemFault("TRANSPORT", "no answer"));
        }
        return revision;
      },
    });
    const replayed = deadLetters(flaky, { runtime }).replay({}, { queue });
    for (let ms = 0; ms < 100; ms++) await pass(time, 100);
    expect([await now(replayed), lost, (await deadLetters(store, { runtime }).list()).total]).toEqual([
      1,
      1,
      0,
    ]);
    const second = startOn(place, [], {
      deliver: (_, { id }) => (told.push(id), Promise.resolve()),
    });
    for (let s = 0; s < 5; s++) await pass(time, 1000);
    expect(told).toEqual(["one@10"]);
    await now(second.stop());
  });

  test("that is a dead letter is not tried once more, though the store does not hear of it at once", async () => {
    const place = desk();
    const { store, time, runtime } = place;
    let [tries, left] = [0, 3];
    const flaky = changed<Store>(store, {
      delete: (key, options) =>
        key.startsWith("schedules/at/") && left-- > 0
          ? Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away")))
          : store.delete(key, options),
    });
    const scheduler = startOn(place, [], {
      store: flaky,
      deliver: () => {
        tries++;
        return Promise.resolve(failure(systemFault("VALIDATION", "odd")));
      },
    });
    await now(scheduler.at(10, Remind("x")));
    for (let s = 0; s < 90; s++) await pass(time, 1000);
    expect([tries, left < 0, await store.list("schedules/at/")]).toEqual([10, true, []]);
    expect((await deadLetters(store, { runtime }).list()).total).toBe(1);
    await now(scheduler.stop());
  });

  test("may be as large as leaves room for what becomes known of it", async () => {
    const place = bench();
    const { scheduler, time, told } = place;
    await pass(time, 10);
    const size = (room: number): string => "x".repeat(262_144 - room);
    expect(await faultOf(now(scheduler.in(0, Remind(size(500)))))).toBe("VALIDATION");
    await now(scheduler.in(0, Remind(size(700))));
    await pass(time, 10);
    expect(told).toMatchObject([{ body: size(700) }]);
    await stopped(place);
  });

  test("that hangs, throws no error or answers nonsense is tried again, and no other waits for it", async () => {
    const told: string[] = [];
    let times = 0;
    const place = bench({
      timeout: 5000,
      deliver: (message) => {
        if (message.body === "hang" && times++ === 0) return new Promise(() => {});
        if (message.body === "throw" && times++ < 2) throw "no error";
        told.push(message.body as string);
        return Promise.resolve();
      },
    });
    for (const body of ["hang", "throw", "good"]) await now(place.scheduler.at(10, Remind(body)));
    await pass(place.time, 100);
    expect(told).toContain("good");
    for (let s = 0; s < 20; s++) await pass(place.time, 1000);
    expect(told.sort()).toEqual(["good", "hang", "throw"]);
    await stopped(place);
  });

  test("is refused where it has no time or name, or cannot be kept", async () => {
    const { runtime, store } = desk();
    const later = schedules({ runtime, store });
    for (const time of [NaN, -1, 1.5, Infinity, 9e15]) {
      expect(await faultOf(later.at(time, Remind("a")))).toContain("Cannot schedule");
    }
    for (const ms of [NaN, -1, Infinity]) {
      expect(await faultOf(later.in(ms, Remind("a")))).toContain("Cannot schedule");
    }
    for (const name of ["", "a@b", "x".repeat(101), "\ud800"]) {
      expect(await faultOf(later.in(1, Remind("a"), { name }))).toContain("Cannot schedule");
    }
    expect(await faultOf(later.in(1, Remind(1n as unknown as string)))).toBe("VALIDATION");
    expect(() => startScheduler({ store, runtime, owner: "a", deliver: () => Promise.resolve(), poll: 6000 }))
      .toThrow(RangeError);
  });
});

describe("what happens again and again", () => {
  test("is delivered at each time, under the name of that time", async () => {
    const place = bench();
    const { scheduler, time, told } = place;
    await now(scheduler.cron("tick", "*/10 * * * *", Rung("tick")));
    for (let minute = 0; minute < 31; minute++) await pass(time, 60_000);
    expect(told.map(({ id, time }) => [id, time])).toEqual(
      [600, 1200, 1800].map((s) => [`tick@${s}000`, s * 1000]),
    );
    expect(await now(scheduler.list())).toMatchObject([
      { id: "tick", time: 2_400_000, state: "waiting", cron: { expression: "*/10 * * * *", zone: "UTC" } },
    ]);
    expect(await now(scheduler.cancel("tick"))).toBe(true);
    await pass(time, 600_000);
    expect(told).toHaveLength(3);
    await stopped(place);
  });

  test("goes on where it was when it is said again, and anew when its times are others", async () => {
    const place = bench();
    const { scheduler, time, told } = place;
    await now(scheduler.cron("tick", "*/10 * * * *", Rung("old")));
    await pass(time, 300_000);
    const same = await now(scheduler.cron("tick", "*/10 * * * *", Rung("new")));
    expect(same.time).toBe(600_000);
    await pass(time, 300_000);
    expect(told).toMatchObject([{ body: "new", id: "tick@600000" }]);
    expect((await now(scheduler.cron("tick", "0 * * * *", Rung("new")))).time).toBe(3_600_000);
    await stopped(place);
  });

  test.each(
    [
      ["once", ["tick@600000", "tick@7800000"]],
      ["skip", ["tick@7800000"]],
    ] as const,
  )("was missed for two hours, with %p", async (missed, ids) => {
    const place = bench();
    const { scheduler, time, told } = place;
    await now(scheduler.cron("tick", "*/10 * * * *", Rung("tick"), { missed }));
    await pass(time, 10_000);
    await now(scheduler.stop());
    await time.advance(7_200_000);
    const second = startOn(place, told);
    for (let minute = 0; minute < 10; minute++) await pass(time, 60_000);
    expect(told.map(({ id }) => id)).toEqual([...ids]);
    await now(second.stop());
  });

  test("that was late by less than a minute is not missed", async () => {
    const place = bench();
    const { scheduler, time, told } = place;
    await now(scheduler.cron("tick", "*/10 * * * *", Rung("tick"), { missed: "skip" }));
    await pass(time, 10_000);
    await now(scheduler.stop());
    await time.advance(640_000 - time.clock.wall());
    const second = startOn(place, told);
    await pass(time, 10);
    expect(told.map(({ id }) => id)).toEqual(["tick@600000"]);
    await now(second.stop());
  });

  test("is a dead letter of that time when it cannot be delivered, and comes again", async () => {
    const told: string[] = [];
    const place = bench({
      deliver: (_, { id }) => {
        if (id === "tick@600000") return Promise.resolve(failure(systemFault("VALIDATION", "bad")));
        told.push(id);
        return Promise.resolve();
      },
    });
    await now(place.scheduler.cron("tick", "*/10 * * * *", Rung("tick")));
    for (let minute = 0; minute < 21; minute++) await pass(place.time, 60_000);
    expect(told).toEqual(["tick@1200000"]);
    expect(place.time.entries.filter(({ event }) => event === "scheduler.buried")).toHaveLength(1);
    const letters = deadLetters(place.store, { runtime: place.runtime });
    expect((await letters.list()).letters).toMatchObject([
      { topic: "schedules/rung", id: "tick@600000", pushed: 600_000, attempts: 10, code: "VALIDATION" },
    ]);
    await stopped(place);
  });
});

describe("what fails again and again", () => {
  test.each([1, Infinity])("is counted for each of its times apart, said again every %p s", async (every) => {
    const tries: Record<string, number> = {};
    const place = bench({
      deliver: (_, { id }) => {
        tries[id] = (tries[id] ?? 0) + 1;
        return Promise.resolve(
          id === "tick@600000" && tries[id] > 5 ? ok(undefined) : failure(systemFault("VALIDATION", "odd")),
        );
      },
    });
    const { scheduler, time, store, runtime } = place;
    for (let s = 0; s < 1300; s++) {
      // Another message each time, so that the entry is written anew.
      if (s === 0 || s % every === 0) await now(scheduler.cron("tick", "*/10 * * * *", Rung(`${s}`)));
      await pass(time, 1000);
    }
    expect(tries).toEqual({ "tick@600000": 6, "tick@1200000": 10 });
    expect((await deadLetters(store, { runtime }).list()).letters).toMatchObject([
      { id: "tick@1200000", attempts: 10 },
    ]);
    await stopped(place);
  });
});

describe("a wall clock that jumps", () => {
  test("ahead lets things come early and back nothing come twice, and none is lost", async () => {
    const place = desk();
    const off = skewed(place.runtime);
    const told: Told[] = [];
    const scheduler = startOn(place, told, { runtime: off.runtime });
    const { time } = place;
    await pass(time, 10);
    await now(scheduler.cron("tick", "*/10 * * * *", Rung("tick")));
    await now(scheduler.at(1_500_000, Remind("once"), { name: "once" }));
    await pass(time, 600_000);
    off.skew = 3_600_000;
    for (let s = 0; s < 60; s++) await pass(time, 1000);
    off.skew = -3_600_000;
    for (let minute = 0; minute < 200; minute++) await pass(time, 60_000);
    const ids = told.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.slice(0, 3)).toEqual(["tick@600000", "tick@1200000", "once@1500000"]);
    // After the jump ahead the next time is that of the clock's, and it comes when the clock shows it.
    const { wall } = off.runtime.clock;
    const times = ids.slice(3).map((id) => Number(id.split("@")[1]));
    expect(times[0]).toBe(4_800_000);
    expect(times.at(-1)).toBeGreaterThan(wall() - 600_001);
    expect(times.every((at, n) => n === 0 || at === times[n - 1]! + 600_000)).toBe(true);
    await now(scheduler.stop());
  });
});

/** Every await on Bun, some elsewhere: under the test runners of Deno and Node each costs many times as much. */
const STRIDE = "Bun" in globalThis ? 1 : 7;

describe("many schedulers", () => {
  test("deliver each firing once, also when the one that delivers goes", async () => {
    const place = desk();
    const told: Told[] = [];
    const all = ["a", "b", "c"].map((owner) => startOn(place, told, { owner }));
    const { time } = place;
    await pass(time, 10);
    await now(all[0]!.cron("tick", "* * * * *", Rung("tick")));
    for (let minute = 0; minute < 10; minute++) {
      await pass(time, 60_000);
      if (minute === 3 || minute === 6) await now(all.find((one) => one.backlog().active)!.stop());
    }
    expect(told.map(({ id }) => id)).toEqual(
      Array.from({ length: 10 }, (_, n) => `tick@${(n + 1) * 60_000}`),
    );
    for (const one of all) await now(one.stop());
  });

  for (const when of ["before", "after"] as const) {
    test(`end ${when} each thing they ask of the store, and no firing is lost or has two names`, async () => {
      const run = async (at: number): Promise<{ readonly passed: number; readonly told: Told[] }> => {
        const place = desk(at);
        const { time, runtime, store } = place;
        const point = new CrashPoint({ at, when, crash: () => {} });
        const told: Told[] = [];
        const later = schedules({ store, runtime });
        const first = startOn(place, told, {
          store: point.wrap(store),
          deliver: (message, { id }) => {
            if (point.crashed) return new Promise(() => {});
            told.push({ id, body: message.body, time: time.clock.mono() });
            return Promise.resolve();
          },
        });
        await pass(time, 10);
        await now(later.cron("tick", "* * * * *", Rung("tick")));
        await now(later.at(61_000, Remind("once"), { name: "once" }));
        await pass(time, 63_000);
        void first.stop();
        const second = startOn(place, told, { owner: "b" });
        for (let s = 0; s < 65; s++) await pass(time, 1000);
        expect(await store.list("schedules/at/")).toEqual([]);
        await now(second.stop());
        return { passed: point.passed, told };
      };
      const { passed } = await run(Infinity);
      expect(passed).toBeGreaterThan(50);
      let twice = 0;
      for (let at = 1; at <= passed; at += STRIDE) {
        const { told } = await run(at);
        const ids = told.map(({ id }) => id);
        expect([at, [...new Set(ids)].sort()]).toEqual([at, ["once@61000", "tick@120000", "tick@60000"]]);
        expect(ids.length).toBeLessThanOrEqual(4);
        if (ids.length === 4) twice++;
      }
      // Only a crash between the delivery and its mark delivers again.
      if (STRIDE === 1 || when === "after") expect(twice).toBe(when === "before" ? 2 : 0);
    }, 120_000);
  }

  for (const when of ["before", "after"] as const) {
    test(
      `end ${when} each thing they ask, and what cannot be delivered is one dead letter, no less tried`,
      async () => {
        const run = async (at: number): Promise<{ readonly passed: number; readonly tries: number[] }> => {
          const place = desk(at);
          const { time, runtime, store } = place;
          const point = new CrashPoint({ at, when, crash: () => {} });
          const tries = [0, 0];
          const told: string[] = [];
          const later = schedules({ store, runtime });
          const deliver = (isDead: () => boolean): Deliver => (_, { id }) => {
            if (isDead()) return new Promise(() => {});
            if (!id.startsWith("once") && id !== "tick@60000") {
              told.push(id);
              return Promise.resolve();
            }
            tries[id.startsWith("once") ? 0 : 1]!++;
            return Promise.resolve(failure(systemFault("VALIDATION", "odd")));
          };
          await now(later.cron("tick", "* * * * *", Rung("tick")));
          await now(later.at(1000, Remind("once"), { name: "once" }));
          await pass(time, 62_000);
          const first = startOn(place, [], {
            store: point.wrap(store),
            deliver: deliver(() => point.crashed),
          });
          for (let s = 0; s < 40; s++) await pass(time, 1000);
          void first.stop();
          const second = startOn(place, [], { owner: "b", deliver: deliver(() => false) });
          for (let s = 0; s < 60; s++) await pass(time, 1000);
          expect(await store.list("schedules/at/")).toEqual([]);
          const { letters } = await deadLetters(store, { runtime }).list();
          expect([at, letters.map(({ id, attempts }) => [id, attempts])]).toEqual([at, [
            ["once@1000", 10],
            ["tick@60000", 10],
          ]]);
          expect(told[0]).toBe("tick@120000");
          await now(second.stop());
          return { passed: point.passed, tries };
        };
        const { passed, tries } = await run(Infinity);
        expect(passed).toBeGreaterThan(50);
        expect(tries).toEqual([10, 10]);
        for (let at = 1; at <= passed; at += STRIDE) {
          // Whoever crashes before a failure is counted has tried once more; never once less.
          const { tries: [once = 0, tick = 0] } = await run(at);
          expect([at, once + tick >= 20 && once + tick <= 22 && once >= 10 && tick >= 10]).toEqual([
            at,
            true,
          ]);
        }
      },
      120_000,
    );
  }
});
