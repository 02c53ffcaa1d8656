import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TimedReplayGuard } from "../../adapters/http/timed_replays.ts";
import { ReplayGuard } from "../../src/internal/replay_window.ts";

describe("counts of one sender", () => {
  test("each is taken once, in any order within 4096 of the highest", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20_000 }), { maxLength: 300 }), (counts) => {
        const guard = new ReplayGuard();
        const seen = new Set<number>();
        let highest = -Infinity;
        for (const count of counts) {
          const fresh = !seen.has(count) && (count > highest || highest - count < 4096);
          expect(guard.first("a", count)).toBe(fresh);
          if (fresh) seen.add(count);
          highest = Math.max(highest, count);
        }
      }),
    );
  });

  test("a million of them, then all again: no growth, none taken twice", () => {
    const guard = new TimedReplayGuard(30_000);
    let taken = 0;
    for (let count = 0; count < 1_000_000; count++) if (guard.first("a", count, 1000, 1000)) taken++;
    expect(taken).toBe(1_000_000);
    for (let count = 0; count < 1_000_000; count += 997) {
      expect(guard.first("a", count, 1000, 1000)).toBe(false);
    }
    expect(guard.size).toBe(1);
    expect(guard.first("a", 2 ** 49, 1000, 1000)).toBe(true);
    expect(guard.first("a", 2 ** 49 - 1, 1000, 1000)).toBe(true);
    expect(guard.first("a", 2 ** 49, 1000, 1000)).toBe(false);
  });
});

describe("many senders", () => {
  test("the table does not grow, and no frame of one that went is taken again", () => {
    const guard = new TimedReplayGuard(30_000, 100);
    for (let n = 0; n < 1000; n++) expect(guard.first(`s${n}`, 0, 1000 + n, 1000 + n)).toBe(true);
    expect(guard.size).toBeLessThanOrEqual(100);
    for (let n = 0; n < 1000; n++) expect(guard.first(`s${n}`, 0, 1000 + n, 2000)).toBe(false);
    expect(guard.first("new", 0, 2000, 2000)).toBe(true);
  });

  test("senders that fell silent make room without a trace", () => {
    const guard = new TimedReplayGuard(30_000, 100);
    for (let n = 0; n < 100; n++) guard.first(`s${n}`, 0, 1000, 1000);
    expect(guard.first("new", 0, 40_000, 40_000)).toBe(true);
    expect(guard.size).toBe(1);
    expect(guard.first("slow clock", 0, 900, 40_000)).toBe(true);
  });
});
