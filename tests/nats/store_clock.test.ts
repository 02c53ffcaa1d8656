/** The server's clock as it is known here: an entry is never over too early, whatever clocks do. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Reading, ServerClock } from "../../adapters/nats/store_clock.ts";
import { readTime } from "../../adapters/nats/store_message.ts";

const START = 1_800_000_000_000;

/** A server whose clock goes at a rate of its own, read over a way that takes time. */
function world(rate = 1) {
  let mono = 5000;
  let sequence = 0;
  let server = START;
  const state = { reads: 0, there: 5, back: 5 };
  const pass = (ms: number): void => {
    mono += ms;
    server += ms * rate;
  };
  const clock = new ServerClock({ mono: () => mono });
  const read = (): Promise<Reading> => {
    state.reads++;
    const since = mono;
    pass(state.there);
    const stamp = server;
    pass(state.back);
    return Promise.resolve({ stamp, sequence: ++sequence, since, until: mono });
  };
  return {
    clock,
    state,
    pass,
    read,
    set: (ms: number) => void (server += ms),
    write: () => ({ stamp: server, sequence: ++sequence }),
    now: () => server,
  };
}

describe("the server's clock", () => {
  test("an entry is never over before its time, and is soon after, for clocks that drift by 1 %", async () => {
    const ways = fc.record({
      rate: fc.double({ min: 0.99, max: 1.01, noNaN: true }),
      there: fc.integer({ min: 0, max: 500 }),
      back: fc.integer({ min: 0, max: 500 }),
      ttl: fc.integer({ min: 1, max: 100_000 }),
      steps: fc.array(fc.integer({ min: 1, max: 20_000 }), { maxLength: 20 }),
    });
    await fc.assert(fc.asyncProperty(ways, async ({ rate, there, back, ttl, steps }) => {
      const { clock, state, pass, read, write, now } = world(rate);
      Object.assign(state, { there, back });
      await clock.look(read);
      const entry = write();
      for (const step of steps) {
        pass(step);
        if (await clock.isOver(entry, ttl, read)) expect(now() - entry.stamp).toBeGreaterThanOrEqual(ttl);
      }
      pass(2 * ttl + 5000);
      expect(await clock.isOver(entry, ttl, read)).toBe(true);
    }));
  });

  test("a server whose clock is slow by 1 % ends nothing early, though its clock was read a moment ago", async () => {
    const { clock, state, pass, read, write } = world(0.99);
    Object.assign(state, { there: 0, back: 0 });
    await clock.look(read);
    const entry = write();
    pass(1000);
    expect(await clock.isOver(entry, 1000, read)).toBe(false);
    expect(state.reads).toBe(1);
    pass(11);
    expect(await clock.isOver(entry, 1000, read)).toBe(true);
  });

  test("a clock that was set back lets no entry end early", async () => {
    const { clock, pass, set, read, write } = world();
    await clock.look(read);
    pass(100);
    set(-3_600_000);
    const entry = write();
    pass(100);
    expect(await clock.isOver(entry, 1000, read)).toBe(false);
    pass(2000);
    expect(await clock.isOver(entry, 1000, read)).toBe(true);
  });

  test("is read only when an entry may be over, and once for all who ask at one time", async () => {
    const { clock, state, pass, read, write } = world();
    await clock.look(read);
    const entry = write();
    for (let at = 0; at < 100; at++) {
      pass(9);
      expect(await clock.isOver(entry, 1000, read)).toBe(false);
    }
    expect(state.reads).toBe(1);
    pass(5000);
    await Promise.all(Array.from({ length: 50 }, () => clock.isOver(entry, 1000, read)));
    expect(state.reads).toBe(2);
  });

  test("what is certain is so, and what is left is about right", async () => {
    const { clock, pass, read, write, now } = world(1.01);
    expect(clock.mayBeOver(START, 1000)).toBe(true);
    expect(clock.certain(START, 1000)).toBe(0);
    await clock.look(read);
    const entry = write();
    pass(100);
    const certain = clock.certain(entry.stamp, 10_000);
    expect(certain).toBeGreaterThan(9000);
    expect(Math.abs(clock.rest(entry.stamp, 10_000) - 9900)).toBeLessThan(50);
    pass(certain);
    expect(now()).toBeLessThanOrEqual(entry.stamp + 10_000);
  });

  test("a reading that fails leaves what was known", async () => {
    const { clock, read, write, pass } = world();
    await clock.look(read);
    const entry = write();
    pass(3000);
    await expect(clock.isOver(entry, 1000, () => Promise.reject(new Error("away")))).rejects.toThrow("away");
    expect(clock.mayBeOver(entry.stamp, 10_000)).toBe(false);
    expect(await clock.isOver(entry, 1000, read)).toBe(true);
  });
});

describe("a time as the server writes it", () => {
  test.each([
    ["2026-01-31T12:00:00.123456789Z", 1_769_860_800_123.456789],
    ["2026-01-31T12:00:00Z", 1_769_860_800_000],
    ["2026-01-31T12:00:00.5Z", 1_769_860_800_500],
    ["2026-01-31T13:00:00.25+01:00", 1_769_860_800_250],
  ])("%s", (text, ms) => {
    expect(readTime(text)).toBeCloseTo(ms, 2);
  });

  test("what is none is no number", () => {
    for (const text of ["", "soon", "2026-01-31", "12:00:00Z"]) expect(readTime(text)).toBeNaN();
  });
});
