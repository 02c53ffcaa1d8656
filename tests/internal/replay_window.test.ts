import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CountWindow, ReplayGuard } from "../../src/internal/replay_window.ts";

const WINDOW = 4096;

/** What a window should do, with a set that only grows. */
function model() {
  const seen = new Set<number>();
  let highest = -Infinity;
  return (count: number): boolean => {
    const fresh = !seen.has(count) && highest - count < WINDOW;
    if (fresh) seen.add(count);
    highest = Math.max(highest, count);
    return fresh;
  };
}

/** Walks as counts of a busy sender do: mostly on, sometimes back, seldom far. */
const walk = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) },
    { weight: 3, arbitrary: fc.integer({ min: -70, max: 0 }) },
    { weight: 1, arbitrary: fc.integer({ min: -WINDOW - 40, max: WINDOW + 40 }) },
  ),
  { maxLength: 400 },
);

describe("the window of counts", () => {
  test("takes each count once, and none too far behind, wherever it starts", () => {
    const start = fc.oneof(fc.nat(10_000), fc.constant(2 ** 31 - 100), fc.constant(2 ** 52));
    fc.assert(
      fc.property(start, walk, (first, steps) => {
        const window = new CountWindow(first);
        const expected = model();
        let count = first;
        expect(window.first(count)).toBe(expected(count));
        for (const step of steps) {
          count = Math.max(0, count + step);
          expect(window.first(count)).toBe(expected(count));
        }
      }),
      { numRuns: 200 },
    );
  });

  test("its edges: one below is taken, the window's width below is not", () => {
    const window = new CountWindow(10_000);
    expect([10_000, 10_000 - WINDOW + 1, 10_000 - WINDOW].map((count) => window.first(count)))
      .toEqual([true, true, false]);
    expect([10_000 + WINDOW, 10_000].map((count) => window.first(count))).toEqual([true, false]);
  });
});

describe("the guard", () => {
  test("keeps senders apart, and only the latest so many", () => {
    const frame = fc.record({ sender: fc.constantFrom(..."abcdef"), count: fc.nat(50) });
    fc.assert(fc.property(fc.integer({ min: 1, max: 6 }), fc.array(frame), (limit, frames) => {
      const guard = new ReplayGuard(limit);
      const senders = new Map<string, (count: number) => boolean>();
      for (const { sender, count } of frames) {
        if (!senders.has(sender)) {
          if (senders.size >= limit) senders.delete(senders.keys().next().value!);
          senders.set(sender, model());
        }
        expect(guard.first(sender, count)).toBe(senders.get(sender)!(count));
      }
    }));
  });
});
