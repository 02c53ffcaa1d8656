import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createTimerWheel } from "../../src/internal/timer_wheel.ts";

const TICK = 4;
const DAY = 86_400_000;

interface Pending {
  readonly at: number;
  readonly run: () => void;
}

/** A platform made by hand: one clock, its timers, and what they threw. */
function platform(start = 0) {
  let now = start;
  const pending = new Set<Pending>();
  const errors: unknown[] = [];
  const longest = { ms: 0 };
  const due = (until: number): Pending | undefined => {
    let first: Pending | undefined;
    for (const timer of pending) {
      if (timer.at <= until && (first === undefined || timer.at < first.at)) first = timer;
    }
    return first;
  };
  const fire = (timer: Pending): void => {
    pending.delete(timer);
    try {
      timer.run();
    } catch (error) {
      errors.push(error);
    }
  };
  return {
    drive: {
      now: () => now,
      schedule: (ms: number, run: () => void) => {
        longest.ms = Math.max(longest.ms, ms);
        const timer = { at: now + ms, run };
        pending.add(timer);
        return () => void pending.delete(timer);
      },
    },
    errors,
    longest,
    now: () => now,
    waits: () => [...pending].map((timer) => timer.at - now),
    /** Time passes and every platform timer fires on the dot. */
    pass: (ms: number) => {
      const until = now + ms;
      for (let timer = due(until); timer !== undefined; timer = due(until)) {
        now = Math.max(now, timer.at);
        fire(timer);
      }
      now = until;
    },
    /** The process stands still, and then all that is due fires at once. */
    stall: (ms: number) => {
      now += ms;
      for (let timer = due(now); timer !== undefined; timer = due(now)) fire(timer);
    },
  };
}

/** One timer of the naive model. */
interface Entry {
  readonly due: number;
  firedAt: number | undefined;
  cancelled: boolean;
  readonly stop: () => void;
}

type Step =
  | { readonly kind: "add"; readonly ms: number; readonly then: number | undefined; readonly throws: boolean }
  | { readonly kind: "cancel"; readonly which: number }
  | { readonly kind: "time"; readonly ms: number };

const tenths = (most: number) => fc.integer({ min: 0, max: most * 10 }).map((n) => n / 10);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      ms: fc.oneof(tenths(12), tenths(300), tenths(5000)),
      then: fc.option(tenths(100), { nil: undefined }),
      throws: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("time" as const), ms: fc.oneof(tenths(10), tenths(600)) }),
  },
);

/** Runs steps on a wheel and beside it the naive model; checks it after each. */
function walk(start: number, steps: readonly Step[], how: "pass" | "stall"): void {
  const host = platform(start);
  const wheel = createTimerWheel(host.drive);
  const entries: Entry[] = [];
  let thrown = 0;
  const add = (ms: number, then: number | undefined, throws: boolean): void => {
    const at = host.now();
    const stop = wheel(ms, () => {
      expect(entry.firedAt).toBeUndefined();
      expect(entry.cancelled).toBe(false);
      entry.firedAt = host.now();
      if (then !== undefined) add(then, undefined, false);
      if (throws) {
        thrown++;
        throw new Error("a callback");
      }
    });
    const entry: Entry = { due: at + ms, firedAt: undefined, cancelled: false, stop };
    entries.push(entry);
  };
  const check = (): void => {
    const now = host.now();
    for (const { due, firedAt, cancelled } of entries) {
      if (firedAt !== undefined) {
        expect(firedAt).toBeGreaterThanOrEqual(due - 1e-6);
        if (how === "pass") expect(firedAt).toBeLessThanOrEqual(due + TICK + 1e-6);
      } else if (!cancelled) {
        expect(due + TICK + 1e-6).toBeGreaterThan(now);
      }
    }
    const live = entries.some((entry) => entry.firedAt === undefined && !entry.cancelled);
    if (!live) expect(Math.max(0, ...host.waits())).toBeLessThanOrEqual(50 + 1e-6);
    expect(host.waits().length).toBeLessThanOrEqual(1);
  };
  for (const one of steps) {
    if (one.kind === "add") add(one.ms, one.then, one.throws);
    else if (one.kind === "time") host[how](one.ms);
    else if (entries.length > 0) {
      const entry = entries[one.which % entries.length]!;
      entry.stop();
      if (entry.firedAt === undefined) entry.cancelled = true;
    }
    check();
  }
  // Twice, for what a callback of the first time adds.
  host[how](20_000);
  host[how](20_000);
  check();
  expect(entries.filter((entry) => entry.firedAt === undefined && !entry.cancelled)).toEqual([]);
  // Those that throw within one turn are told as one.
  expect(host.errors.length > 0).toBe(thrown > 0);
  expect(host.errors.every((error) => (error as Error).message === "a callback")).toBe(true);
}

describe("the timer wheel", () => {
  test("never early, at most one tick late, none lost, none after its cancellation", () => {
    fc.assert(
      fc.property(
        tenths(1000),
        fc.array(step, { maxLength: 60 }),
        (start, steps) => walk(start, steps, "pass"),
      ),
      { numRuns: 300 },
    );
  });

  test("the same when the process stands still now and then, but for the lateness", () => {
    fc.assert(
      fc.property(
        tenths(1000),
        fc.array(step, { maxLength: 60 }),
        (start, steps) => walk(start, steps, "stall"),
      ),
      { numRuns: 300 },
    );
  });

  test("timers of one turn run in the order of their ticks", () => {
    fc.assert(fc.property(fc.array(fc.nat(500), { maxLength: 30 }), (delays) => {
      const host = platform();
      const wheel = createTimerWheel(host.drive);
      const ran: number[] = [];
      for (const ms of delays) wheel(ms, () => void ran.push(Math.ceil(ms / TICK)));
      host.stall(1000);
      expect(ran).toEqual(delays.map((ms) => Math.ceil(ms / TICK)).sort((a, b) => a - b));
    }));
  });

  test("a callback may cancel another of its own tick", () => {
    const host = platform();
    const wheel = createTimerWheel(host.drive);
    const ran: string[] = [];
    wheel(4, () => {
      ran.push("a");
      stop();
    });
    const stop = wheel(4, () => void ran.push("b"));
    wheel(4, () => void ran.push("c"));
    host.pass(100);
    expect(ran).toEqual(["a", "c"]);
  });

  test("a callback may cancel a later one, where time runs as it should", () => {
    const host = platform();
    const wheel = createTimerWheel(host.drive);
    const ran: string[] = [];
    wheel(4, () => {
      ran.push("a");
      stop();
    });
    const stop = wheel(40, () => void ran.push("b"));
    wheel(80, () => void ran.push("c"));
    host.pass(200);
    expect([ran, host.errors]).toEqual([["a", "c"], []]);
  });

  test.each([[30 * DAY], [2 ** 31], [2 ** 31 + 1], [2 ** 33], [365 * DAY]])(
    "keeps a delay of %d ms",
    (ms) => {
      const host = platform();
      const wheel = createTimerWheel(host.drive);
      let fired = 0;
      wheel(ms, () => fired++);
      host.pass(ms - 1);
      expect(fired).toBe(0);
      host.pass(1 + TICK);
      expect(fired).toBe(1);
      expect(host.longest.ms).toBeLessThan(2 ** 31);
      expect(host.waits()).toEqual([]);
    },
  );

  test("for ever is for ever, and the past is now", () => {
    const host = platform(1);
    const wheel = createTimerWheel(host.drive);
    const ran: number[] = [];
    for (const ms of [Infinity, 0, -5]) wheel(ms, () => void ran.push(ms));
    host.pass(10 * DAY);
    expect(ran).toEqual([0, -5]);
  });

  test("a callback that throws loses none of the others, in its tick or in a later one", () => {
    const host = platform();
    const wheel = createTimerWheel(host.drive);
    const ran: string[] = [];
    const boom = new Error("boom");
    const bad = () => {
      throw boom;
    };
    for (const [name, ms] of [["a", 4], ["b", 8], ["c", 400]] as const) {
      wheel(ms, bad);
      wheel(ms, () => void ran.push(name));
    }
    host.stall(20);
    expect(ran).toEqual(["a", "b"]);
    expect(host.errors).toEqual([boom]);
    host.stall(1000);
    expect(ran).toEqual(["a", "b", "c"]);
    expect(host.errors).toEqual([boom, boom]);
  });

  test("an empty wheel leaves no far platform timer", () => {
    const host = platform();
    const wheel = createTimerWheel(host.drive);
    expect(host.waits()).toEqual([]);
    const stops = [60_000, 90_000].map((ms) => wheel(ms, () => {}));
    expect(Math.max(...host.waits())).toBeLessThanOrEqual(50);
    host.pass(50);
    expect(Math.max(...host.waits())).toBeGreaterThan(50);
    stops[0]!();
    expect(host.waits()).toHaveLength(1);
    stops[1]!();
    expect(host.waits()).toEqual([]);
    wheel(10, () => {});
    host.pass(100);
    expect(host.waits()).toEqual([]);
  });

  test("calling off twice, and after it fired, does nothing", () => {
    const host = platform();
    const wheel = createTimerWheel(host.drive);
    let fired = 0;
    const first = wheel(4, () => fired++);
    const second = wheel(4, () => fired++);
    first();
    first();
    host.pass(10);
    second();
    wheel(4, () => fired++);
    second();
    first();
    host.pass(10);
    expect(fired).toBe(2);
  });

  test("timers that are called off touch the platform only now and then", () => {
    const host = platform();
    let scheduled = 0;
    const wheel = createTimerWheel({
      now: host.drive.now,
      schedule: (ms, run) => {
        scheduled++;
        return host.drive.schedule(ms, run);
      },
    });
    for (let n = 0; n < 10_000; n++) {
      wheel(30_000, () => {})();
      host.pass(0.1);
    }
    expect(scheduled).toBeLessThan(100);
  });
});
