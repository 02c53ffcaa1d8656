import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { backoff } from "../../src/internal/backoff.ts";
import { base64url } from "../../src/internal/base64url.ts";
import { createIdSource } from "../../src/internal/id_source.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { TokenBucket } from "../../src/internal/token_bucket.ts";
import { createTurn } from "../../src/internal/turn.ts";

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe("TokenBucket", () => {
  test("never gives more than it holds and what has come back since", () => {
    const takes = fc.array(fc.tuple(fc.nat(500), fc.nat(5)), { maxLength: 60 });
    fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(50), takes, (limit, perSecond, steps) => {
      const bucket = new TokenBucket(limit, perSecond, 1000);
      let now = 1000;
      let model = limit;
      for (const [wait, tries] of steps) {
        now += wait;
        for (let n = 0; n < tries; n++) {
          model = Math.min(limit, model + (n === 0 ? wait : 0) * perSecond / 1000);
          // At the edge of one token the two may round differently.
          if (Math.abs(model - 1) < 1e-9) return;
          const expected = model >= 1;
          expect(bucket.take(now)).toBe(expected);
          if (expected) model--;
        }
        if (tries === 0) model = Math.min(limit, model + wait * perSecond / 1000);
      }
    }));
  });

  test("earns up to its limit", () => {
    const bucket = new TokenBucket(3, 0, 0);
    const drain = () => {
      let taken = 0;
      while (bucket.take(0)) taken++;
      return taken;
    };
    expect(drain()).toBe(3);
    bucket.earn(0.5);
    expect(drain()).toBe(0);
    bucket.earn(0.5);
    expect(drain()).toBe(1);
    bucket.earn(100);
    expect(drain()).toBe(3);
  });
});

describe("backoff", () => {
  test("is a part of a delay that doubles up to a limit", () => {
    const ms = fc.integer({ min: 1, max: 100_000 });
    fc.assert(fc.property(fc.integer({ min: 1, max: 5000 }), ms, ms, u32, (failures, delay, most, chance) => {
      const wait = backoff(failures, delay, most, chance);
      const limit = failures > 40 ? most : Math.min(most, delay * 2 ** (failures - 1));
      expect(wait).toBeGreaterThanOrEqual(0);
      expect(wait).toBeLessThan(limit);
      expect(wait).toBe(limit * (chance / 2 ** 32));
    }));
  });

  test("uses all of its range", () => {
    expect(backoff(1, 50, 2000, 0)).toBe(0);
    expect(backoff(1, 50, 2000, 2 ** 31)).toBe(25);
    expect(backoff(4, 50, 2000, 2 ** 31)).toBe(200);
    expect(backoff(100, 50, 2000, 2 ** 32 - 1)).toBeCloseTo(2000, 5);
  });
});

test("base64url is what Buffer makes of it", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    expect(base64url(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
  }));
  expect(base64url(new Uint8Array([0xfb, 0xff, 0xfe]))).toBe("-__-");
});

describe("createTurn", () => {
  /** A turn that keeps what each run was for. */
  function collecting(onRun: (add: (item: number) => void, run: number) => void = () => {}) {
    let items: number[] = [];
    const runs: number[][] = [];
    const ask = createTurn(() => items.length, () => {
      const taken = items;
      items = [];
      runs.push(taken);
      onRun(add, runs.length);
    });
    const add = (item: number): void => {
      items.push(item);
      ask();
    };
    return { add, runs };
  }
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 300; turns++) await Promise.resolve();
  };

  test("many in one generation of microtasks are one run", async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 100 }), async (count) => {
      const { add, runs } = collecting();
      for (let n = 0; n < count; n++) queueMicrotask(() => add(n));
      await settle();
      expect(runs).toEqual([Array.from({ length: count }, (_, n) => n)]);
    }));
  });

  test("many at once are one run, not in the caller's turn", async () => {
    const { add, runs } = collecting();
    for (let n = 0; n < 10; n++) add(n);
    expect(runs).toEqual([]);
    await settle();
    expect(runs).toHaveLength(1);
  });

  test("what comes one microtask after the other is one run", async () => {
    const { add, runs } = collecting();
    for (let n = 0; n < 50; n++) {
      add(n);
      await Promise.resolve();
    }
    await settle();
    expect(runs).toHaveLength(1);
    expect(runs[0]).toHaveLength(50);
  });

  test("what comes alone runs alone, within few microtasks", async () => {
    const { add, runs } = collecting();
    add(1);
    for (let turns = 0; turns < 4; turns++) await Promise.resolve();
    expect(runs).toEqual([[1]]);
    add(2);
    for (let turns = 0; turns < 4; turns++) await Promise.resolve();
    expect(runs).toEqual([[1], [2]]);
  });

  test("what is added during a run is for the next", async () => {
    const { add, runs } = collecting((again, run) => {
      if (run < 4) {
        again(run * 10);
        again(run * 10 + 1);
      }
    });
    add(0);
    await settle();
    expect(runs).toEqual([[0], [10, 11], [20, 21], [30, 31]]);
  });

  test("nothing is lost and nothing comes twice, whenever it comes", async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(6), { maxLength: 60 }), async (gaps) => {
      const { add, runs } = collecting();
      for (const [n, gap] of gaps.entries()) {
        add(n);
        for (let turns = 0; turns < gap; turns++) await Promise.resolve();
      }
      await settle();
      expect(runs.flat()).toEqual(gaps.map((_, n) => n));
      expect(runs.every((run) => run.length > 0)).toBe(true);
    }));
  });
});

describe("createIdSource", () => {
  test("names never come twice, also of two sources", () => {
    let drawn = 0;
    const numbers = [1, 2, 1, 3];
    const draw = () => numbers[drawn++]!;
    const one = createIdSource(draw);
    const other = createIdSource(draw);
    expect(drawn).toBe(0);
    const ids = new Set<string>();
    for (let n = 0; n < 20_000; n++) {
      ids.add(one());
      ids.add(other());
    }
    expect([ids.size, drawn]).toEqual([40_000, 4]);
  });

  test("the random part is as wide whatever was drawn, so that no two draws read alike", () => {
    fc.assert(fc.property(u32, u32, u32, u32, (a, b, c, d) => {
      const from = (...numbers: number[]) => createIdSource(() => numbers.shift()!)();
      const [one, other] = [from(a, b), from(c, d)];
      expect(one).toMatch(/^[0-9a-z]{14}-0$/);
      expect(one === other).toBe(a === c && b === d);
    }));
  });
});

describe("sleep", () => {
  /** A clock with one timer at a time. */
  function clock() {
    let run: (() => void) | undefined;
    return {
      timer: (_ms: number, wake: () => void) => {
        run = wake;
        return () => void (run = undefined);
      },
      ring: () => run?.(),
      armed: () => run !== undefined,
    };
  }
  const stateOf = async (promise: Promise<void>): Promise<string> => {
    let state = "waiting";
    void promise.then(() => state = "awake");
    for (let turns = 0; turns < 5; turns++) await Promise.resolve();
    return state;
  };

  test("ends with its timer, and earlier with its signal", async () => {
    const one = clock();
    const first = sleep(one, 10);
    expect(await stateOf(first)).toBe("waiting");
    one.ring();
    expect(await stateOf(first)).toBe("awake");
    const giveUp = new AbortController();
    const second = sleep(one, 10, giveUp.signal);
    expect(await stateOf(second)).toBe("waiting");
    giveUp.abort();
    expect(await stateOf(second)).toBe("awake");
    expect(one.armed()).toBe(false);
    expect(await stateOf(sleep(one, 10, giveUp.signal))).toBe("awake");
    expect(one.armed()).toBe(false);
  });
});
