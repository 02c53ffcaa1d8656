/** So much in so much time, over all processes, and never more. */

import { describe, expect, test } from "bun:test";
import { CatgaError, command, createMediator, handle, systemFault, type } from "@catga/catga";
import {
  createRateLimiter,
  type RateCall,
  type RateDecision,
  rateLimited,
  type RateLimiter,
  type RateLimiterOptions,
} from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Runtime, Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import fc from "fast-check";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

type Fate = "refused" | "lost" | "unanswered" | "hang" | number | undefined;

interface Desk {
  readonly time: FakeRuntime;
  readonly runtime: Runtime;
  readonly store: Store;
  readonly asked: string[];
  /** What all requests meet; a number is how long answers take, in ms. */
  fate: Fate;
  limiter(more?: Partial<RateLimiterOptions>): RateLimiter;
}

function desk(): Desk {
  const time = fakeRuntime();
  let last = 1;
  const u32 = (): number => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0;
  const runtime: Runtime = { ...time, random: { u32 }, background: (work) => void work.catch(() => {}) };
  const store = memoryStore({ clock: time.clock });
  const meet = async <T>(method: string, work: () => Promise<T>): Promise<T> => {
    const { fate } = made;
    made.asked.push(method);
    if (fate === "refused") throw new CatgaError(systemFault("UNAVAILABLE", "refused"));
    if (fate === "lost") throw new CatgaError(systemFault("TRANSPORT", "lost"));
    if (fate === "hang") return new Promise<never>(() => {});
    const value = await work();
    if (fate === "unanswered") throw new CatgaError(systemFault("TRANSPORT", "not answered"));
    if (fate !== undefined) await new Promise<void>((resolve) => void time.clock.timer(fate, resolve));
    return value;
  };
  const unsteady: Store = {
    get: (key) => meet("get", () => store.get(key)),
    put: (key, value, { expected, ttl } = {}) => meet("put", () => store.put(key, value, { expected, ttl })),
    delete: (key, { expected } = {}) => meet("delete", () => store.delete(key, { expected })),
    list: (prefix, { limit } = {}) => meet("list", () => store.list(prefix, { limit })),
    watch: (prefix, options) => store.watch(prefix, options),
  };
  const made: Desk = {
    time,
    runtime,
    store,
    asked: [],
    fate: undefined,
    limiter: (more = {}) => createRateLimiter({ store: unsteady, runtime, ...more }),
  };
  return made;
}

const five: RateCall = { rate: 5, per: 10_000 };

async function allowed(limiter: RateLimiter, times: number, call: RateCall): Promise<number> {
  let count = 0;
  for (let time = 0; time < times; time++) if ((await limiter.limit("x", call)).allowed) count++;
  return count;
}

describe("a limit", () => {
  test("is for all processes together, and comes back a window later", async () => {
    const { limiter, time } = desk();
    const [a, b] = [limiter(), limiter()];
    expect([await allowed(a, 3, five), await allowed(b, 10, five), await allowed(a, 3, five)]).toEqual([
      3,
      2,
      0,
    ]);
    await time.advance(10_000);
    expect(await allowed(a, 3, five)).toBe(0);
    await time.advance(1000);
    expect([await allowed(b, 3, five), await allowed(a, 10, five)]).toEqual([3, 2]);
  });

  test("says what is left, and when there will be more", async () => {
    const { limiter, time } = desk();
    const a = limiter();
    const decisions: RateDecision[] = [];
    for (let times = 0; times < 6; times++) {
      decisions.push(await a.limit("x", five));
      await time.advance(100);
    }
    expect(decisions.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
      [true, 4],
      [true, 3],
      [true, 2],
      [true, 1],
      [true, 0],
      [false, 0],
    ]);
    const { retryAfter } = decisions[5]!;
    await time.advance(retryAfter - 101);
    expect((await a.limit("x", five)).allowed).toBe(false);
    await time.advance(501);
    expect((await a.limit("x", five)).allowed).toBe(true);
  });

  test("keeps keys, and limits of one key, apart", async () => {
    const { limiter } = desk();
    const a = limiter();
    expect(await allowed(a, 10, five)).toBe(5);
    expect(await allowed(a, 10, { rate: 3, per: 1000 })).toBe(3);
    for (const key of ["x/", "1:x", "y", "x/0"]) expect((await a.limit(key, five)).remaining).toBe(4);
  });

  test("may be taken in larger parts, and what there is not enough for leaves the rest to others", async () => {
    const { limiter } = desk();
    const [a, b] = [limiter(), limiter()];
    expect((await a.limit("x", { ...five, cost: 3 })).allowed).toBe(true);
    for (let times = 0; times < 3; times++) {
      const { allowed, remaining } = await b.limit("x", { ...five, cost: 3 });
      expect([allowed, remaining]).toEqual([false, 2]);
    }
    expect((await a.limit("x", { ...five, cost: 2 })).allowed).toBe(true);
    expect((await b.limit("x", five)).allowed).toBe(false);
  });

  test("of many calls at once lets just so many through, with few requests", async () => {
    const { limiter, asked, time } = desk();
    const limiters = [limiter(), limiter(), limiter()];
    const call: RateCall = { rate: 100, per: 10_000 };
    const decisions: boolean[] = [];
    for (let at = 0; at < 600; at++) {
      void limiters[at % 3]!.limit("x", call).then(({ allowed }) => decisions.push(allowed));
    }
    await time.advance(500);
    expect([decisions.length, decisions.filter((each) => each).length]).toEqual([600, 100]);
    expect(asked.length).toBeLessThan(300);
  });

  test("is asked for less often where a part of it is reserved", async () => {
    const { limiter, asked, time } = desk();
    const a = limiter();
    const call: RateCall = { rate: 320, per: 10_000, reserve: 20 };
    expect(await allowed(a, 100, call)).toBe(100);
    expect(asked.length).toBeLessThan(25);
    // What is not used in time is lost, and is not used later.
    await a.limit("x", call);
    await time.advance(600);
    expect(await allowed(limiter(), 400, { ...call, reserve: 1 })).toBe(320 - 120);
  });

  test("does not ask the store again and again while there is nothing", async () => {
    const { limiter, asked } = desk();
    const a = limiter();
    await allowed(a, 6, five);
    const before = asked.length;
    expect(await allowed(a, 50, five)).toBe(0);
    expect(asked.length).toBe(before);
  });

  test("leaves nothing in the store when it is over", async () => {
    const { limiter, store, time } = desk();
    await allowed(limiter(), 5, five);
    expect((await store.list("")).length).toBe(5);
    await time.advance(11_000);
    expect(await store.list("")).toEqual([]);
    expect(time.pending()).toBe(0);
  });

  test("holds though the store's clock goes a little faster, and the answer came late", async () => {
    const { time, runtime } = desk();
    const store = memoryStore({ clock: { ...time.clock, mono: () => 1.009 * time.clock.mono() } });
    let late = 99;
    const slow: Store = {
      ...store,
      list: (prefix, options) => store.list(prefix, options),
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (late > 0) await new Promise<void>((resolve) => void time.clock.timer(late, resolve));
        return revision;
      },
    };
    const limiter = createRateLimiter({ store: slow, runtime });
    const grants: number[] = [];
    const call: RateCall = { rate: 1, per: 2000, slack: 100 };
    void limiter.limit("x", call).then(() => grants.push(time.clock.mono()));
    await time.advance(100);
    late = 0;
    for (let ms = 0; ms < 2200; ms++) {
      if ((await createRateLimiter({ store: slow, runtime }).limit("x", call)).allowed) {
        grants.push(time.clock.mono());
      }
      await time.advance(1);
    }
    expect(grants).toHaveLength(2);
    expect(grants[1]! - grants[0]!).toBeGreaterThanOrEqual(2000);
  });

  test("that is none is refused", async () => {
    const { limiter, store, runtime } = desk();
    const a = limiter();
    const wrong: Partial<RateCall>[] = [
      { rate: 0 },
      { rate: NaN },
      { per: 0 },
      { per: Infinity },
      { burst: 0 },
      { burst: 1.5 },
      { slack: 0 },
      { reserve: 0 },
      { cost: 0 },
      { cost: 6 },
      { cost: 0.5 },
    ];
    for (const more of wrong) {
      expect(await a.limit("x", { ...five, ...more }).catch((error) => error.name)).toBe("RangeError");
    }
    expect(() => createRateLimiter({ store, runtime, waiting: 0 })).toThrow(RangeError);
    expect(await a.limit("\ud800", five).catch((error) => error.code)).toBe("VALIDATION");
  });

  test("that was written over by somebody else is refused, and not gone over", async () => {
    const { limiter, store } = desk();
    await store.put("limits/1-2000/1:x/0", "many");
    expect((await limiter().limit("x", { rate: 1, per: 2000 })).allowed).toBe(false);
  });

  test("holds for any rate, burst, cost and time between calls, whatever answers are lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          rate: fc.integer({ min: 1, max: 50 }),
          per: fc.integer({ min: 100, max: 5000 }),
          burst: fc.integer({ min: 1, max: 60 }),
          reserve: fc.integer({ min: 1, max: 10 }),
        }),
        fc.array(
          fc.tuple(
            fc.nat({ max: 3000 }),
            fc.integer({ min: 1, max: 5 }),
            fc.nat({ max: 2 }),
            fc.option(fc.constantFrom<Fate>("lost", "unanswered", "refused", 5, 40), {
              nil: undefined,
              freq: 4,
            }),
          ),
          { maxLength: 60 },
        ),
        async (limit, calls) => {
          const made = desk();
          const limiters = [made.limiter(), made.limiter(), made.limiter()];
          const window = (limit.burst * limit.per) / limit.rate;
          const grants: { at: number; cost: number }[] = [];
          for (const [pause, cost, process, fate] of calls) {
            await made.time.advance(pause % 3 === 0 ? 0 : pause);
            made.fate = fate;
            const own = Math.min(cost, limit.burst);
            void limiters[process]!.limit("x", { ...limit, cost: own }).then(
              ({ allowed }) => allowed && grants.push({ at: made.time.clock.mono(), cost: own }),
              () => {},
            );
            await settle();
          }
          await made.time.advance(5000);
          for (const [index, { at }] of grants.entries()) {
            const inWindow = grants.slice(0, index + 1).filter((grant) => grant.at > at - window);
            expect(inWindow.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(limit.burst);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("a store that cannot be asked", () => {
  test("refuses calls, or lets them through, as was chosen; it is said once", async () => {
    for (const fate of ["refused", "lost", "hang"] as const) {
      const made = desk();
      const [strict, open] = [made.limiter(), made.limiter({ whenDown: "allow" })];
      made.fate = fate;
      const codes: string[] = [];
      for (let times = 0; times < 3; times++) {
        void strict.limit("x", five).catch(({ code }) => codes.push(code));
        void open.limit("x", five).then(({ allowed }) => codes.push(`${allowed}`));
        await made.time.advance(2000);
      }
      expect(codes.filter((code) => code === "true")).toHaveLength(3);
      expect(codes.filter((code) => code === (fate === "refused" ? "UNAVAILABLE" : "TRANSPORT")))
        .toHaveLength(3);
      expect(made.time.entries.map(({ event }) => event)).toEqual(["limit.unreachable", "limit.unreachable"]);
      made.fate = undefined;
      expect((await strict.limit("x", five)).allowed).toBe(true);
    }
  });

  test("loses answers: what was asked for counts as used", async () => {
    const made = desk();
    const a = made.limiter();
    made.fate = "unanswered";
    void a.limit("x", five).catch(() => {});
    await made.time.advance(100);
    made.fate = undefined;
    const rest = await allowed(made.limiter(), 10, five);
    expect(rest).toBeLessThan(5);
    expect(rest).toBeGreaterThanOrEqual(3);
  });

  test("answers too late: nothing is allowed by that", async () => {
    const made = desk();
    const a = made.limiter();
    made.fate = 300;
    const late = a.limit("x", { ...five, slack: 200 }).catch(({ code }) => code);
    await made.time.advance(2000);
    expect(await late).toBe("TRANSPORT");
  });
});

describe("who waits for a limit", () => {
  test("gives up with its signal, and others go on", async () => {
    const made = desk();
    const a = made.limiter();
    made.fate = 100;
    const controller = new AbortController();
    const gone = a.limit("x", { ...five, signal: controller.signal }).catch(({ code }) => code);
    const stays = a.limit("x", five);
    await made.time.advance(50);
    controller.abort();
    expect(await gone).toBe("CANCELLED");
    await made.time.advance(1000);
    expect((await stays).allowed).toBe(true);
    expect(await a.limit("x", { ...five, signal: controller.signal }).catch(({ code }) => code)).toBe(
      "CANCELLED",
    );
  });

  test("is refused at once when too many wait", async () => {
    const made = desk();
    const a = made.limiter({ waiting: 2 });
    made.fate = 100;
    const codes: string[] = [];
    for (let times = 0; times < 3; times++) {
      void a.limit(`${times}`, five).then(() => codes.push("done"), ({ code }) => codes.push(code));
    }
    await settle();
    expect(codes).toEqual(["OVERLOADED"]);
    await made.time.advance(1000);
    expect(codes).toEqual(["OVERLOADED", "done", "done"]);
  });
});

test("a process that ends at any of its steps has used no more than it was allowed, and others go on", async () => {
  const life = async (at: number, when: "before" | "after"): Promise<number> => {
    const { limiter, store, time } = desk();
    const point = new CrashPoint({ at, when, crash: () => {} });
    const dying = limiter({ store: point.wrap(store) });
    let own = 0;
    void (async () => {
      for (let times = 0; times < 7; times++) {
        if ((await dying.limit("x", { ...five, reserve: 2 })).allowed) own++;
      }
    })().catch(() => {});
    await time.advance(3000);
    const others = await allowed(limiter(), 10, five);
    expect(own + others).toBeLessThanOrEqual(5);
    expect(own + others).toBeGreaterThanOrEqual(3);
    await time.advance(11_000);
    expect(await allowed(limiter(), 10, five)).toBe(5);
    return point.passed;
  };
  const steps = await life(Infinity, "before");
  expect(steps).toBeGreaterThan(4);
  for (let at = 1; at <= steps; at++) for (const when of ["before", "after"] as const) await life(at, when);
});

describe("a limited handler", () => {
  const Sign = command("sign", { input: type<string>(), output: type<string>() });

  test("is not started for what is too much, and who asked hears when to come again", async () => {
    const { limiter, runtime, time } = desk();
    let handled = 0;
    const app = createMediator({
      handlers: [handle(Sign, (text) => `${text}${++handled}`)],
      behaviors: [rateLimited({ limiter: limiter(), rate: 2, per: 1000 })],
      runtime,
    });
    const results = [];
    for (const text of ["a", "b", "c"]) results.push(await app.send(Sign(text)));
    expect(results.map((result) => result.ok ? result.value : result.error.code)).toEqual([
      "a1",
      "b2",
      "OVERLOADED",
    ]);
    const { error } = results[2] as { error: { data: { retryAfter: number }; retryable: boolean } };
    expect(error.retryable).toBe(true);
    expect(error.data.retryAfter).toBeGreaterThan(0);
    await time.advance(error.data.retryAfter);
    expect((await app.send(Sign("d"))).ok).toBe(true);
  });

  test("counts for whom and as much as it is told", async () => {
    const { limiter, runtime } = desk();
    const limited = rateLimited({
      limiter: limiter(),
      rate: 10,
      per: 1000,
      key: ({ headers }) => headers["tenant"] ?? "",
      cost: ({ body }) => (body as string).length,
    });
    const app = createMediator({ handlers: [handle(Sign, (text) => text)], behaviors: [limited], runtime });
    const send = async (tenant: string, text: string): Promise<boolean> =>
      (await app.send(Sign(text), { headers: { tenant } })).ok;
    expect([await send("a", "12345678"), await send("a", "123"), await send("b", "123")]).toEqual([
      true,
      false,
      true,
    ]);
    expect(await send("a", "12")).toBe(true);
  });

  test("that was given up while it waited is not started; a store that is down refuses it", async () => {
    const made = desk();
    let handled = 0;
    const app = createMediator({
      handlers: [handle(Sign, () => `${++handled}`)],
      behaviors: [rateLimited({ limiter: made.limiter(), rate: 2, per: 1000, slack: 200 })],
      runtime: made.runtime,
    });
    made.fate = 100;
    const given = app.send(Sign("a"), { timeout: 50 });
    await made.time.advance(1000);
    const result = await given;
    expect([result.ok ? "" : result.error.code, handled]).toEqual(["TIMEOUT", 0]);
    made.fate = "refused";
    const down = app.send(Sign("a"));
    await made.time.advance(100);
    const refused = await down;
    expect([refused.ok ? "" : refused.error.code, handled]).toEqual(["UNAVAILABLE", 0]);
    expect(() => rateLimited({ limiter: made.limiter(), rate: 0, per: 1 })).toThrow(RangeError);
  });
});
