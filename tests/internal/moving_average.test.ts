import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  CallRecord,
  MovingAverage,
  MovingShare,
  outliers,
  PeakAverage,
} from "../../src/internal/moving_average.ts";

const samples = fc.array(fc.record({ wait: fc.nat(3000), value: fc.nat(1000) }), {
  minLength: 1,
  maxLength: 60,
  size: "max",
});

describe("the mean that forgets", () => {
  test("is the mean of all samples, each weighed by its age", () => {
    fc.assert(fc.property(samples, (steps) => {
      const mean = new MovingAverage(500);
      const seen: { at: number; value: number }[] = [];
      let now = 0;
      for (const { wait, value } of steps) {
        mean.add(value, now += wait);
        seen.push({ at: now, value });
        let [sum, weight] = [0, 0];
        for (const { at, value } of seen) {
          sum += value * 2 ** ((at - now) / 500);
          weight += 2 ** ((at - now) / 500);
        }
        expect(mean.value).toBeCloseTo(sum / weight, 6);
        expect(mean.weight(now)).toBeCloseTo(weight, 6);
      }
    }));
  });

  test("after one half-life a sample counts half", () => {
    const mean = new MovingAverage(100);
    mean.add(30, 0);
    mean.add(0, 100);
    expect(mean.value).toBeCloseTo(10, 9);
    expect(mean.weight(200)).toBeCloseTo(0.75, 9);
  });

  test("time that runs back, very long waits and clearing do no harm", () => {
    const mean = new MovingAverage(1);
    mean.add(10, 1000);
    mean.add(20, 500);
    expect(mean.value).toBe(15);
    mean.add(7, 1e12);
    expect(mean.value).toBe(7);
    mean.clear();
    expect([mean.value, mean.weight(0)]).toEqual([0, 0]);
  });
});

describe("the mean that follows peaks", () => {
  test("takes a higher sample at once, and half way back in one half-life", () => {
    const mean = new PeakAverage(1000);
    expect(mean.at(5)).toBe(0);
    mean.add(10, 0);
    mean.add(500, 1);
    expect(mean.at(1)).toBe(500);
    mean.add(100, 1001);
    expect(mean.at(1001)).toBeCloseTo(300, 9);
  });

  test("sinks to nothing when nobody asks", () => {
    const mean = new PeakAverage(1000);
    mean.add(80, 0);
    expect(mean.at(3000)).toBeCloseTo(10, 9);
    expect(mean.at(1e9)).toBe(0);
  });

  test("is never below the lowest nor above the highest sample when it is taken", () => {
    fc.assert(fc.property(samples, (steps) => {
      const mean = new PeakAverage(700);
      let now = 0;
      for (const { wait, value } of steps) mean.add(value, now += wait);
      const values = steps.map(({ value }) => value);
      expect(mean.at(now)).toBeGreaterThanOrEqual(Math.min(...values) - 1e-9);
      expect(mean.at(now)).toBeLessThanOrEqual(Math.max(...values) + 1e-9);
      expect(mean.at(now)).toBeGreaterThanOrEqual(values.at(-1)! - 1e-9);
    }));
  });
});

describe("the share of the window", () => {
  test("is that of the slices it reaches back to, whatever the steps", () => {
    const wait = fc.oneof(fc.nat(400), fc.nat(2000));
    const steps = fc.array(fc.record({ wait, failed: fc.boolean() }), {
      maxLength: 100,
      size: "max",
    });
    fc.assert(fc.property(steps, fc.nat(1e6), (calls, start) => {
      const share = new MovingShare(1000);
      const seen: { slice: number; failed: boolean }[] = [];
      let now = start;
      for (const { wait, failed } of calls) {
        share.add(failed, now += wait);
        seen.push({ slice: Math.floor(now / 100), failed });
        const left = seen.filter(({ slice }) => slice > Math.floor(now / 100) - 10);
        expect([share.total, share.failed])
          .toEqual([left.length, left.filter(({ failed }) => failed).length]);
      }
    }));
  });

  test("goes empty with time, and when it is cleared", () => {
    const share = new MovingShare(1000);
    share.add(true, 50);
    share.advance(999);
    expect([share.total, share.failed]).toEqual([1, 1]);
    share.advance(1000);
    expect([share.total, share.failed]).toEqual([0, 0]);
    share.add(true, 1e15);
    share.clear();
    expect([share.total, share.failed]).toEqual([0, 0]);
  });
});

describe("the record of calls", () => {
  const limits = { failures: 3, failureRate: 0.5, calls: 8 };

  test("fails by failures in a row", () => {
    const record = new CallRecord(1000, 1000);
    for (const failed of [true, true, false, true, true]) record.add(failed, 1, 0);
    expect(record.fails(limits)).toBe(false);
    record.add(true, 1, 0);
    expect(record.fails(limits)).toBe(true);
  });

  test("fails by their part, but only of enough calls", () => {
    const record = new CallRecord(1000, 1000);
    for (let call = 0; call < 7; call++) record.add(call % 2 === 0, 1, 0);
    expect(record.fails(limits)).toBe(false);
    record.add(false, 1, 0);
    expect(record.fails(limits)).toBe(true);
    record.add(false, 1, 0);
    expect(record.fails(limits)).toBe(false);
  });

  test("the time of a failure, or of a call that does not count, is none", () => {
    const record = new CallRecord(1000, 1000);
    record.add(true, 900, 0);
    record.add(false, undefined, 0);
    expect(record.latency.weight(0)).toBe(0);
    record.add(false, 8, 0);
    expect(record.latency.value).toBe(8);
    record.clear();
    expect([record.row, record.share.total, record.latency.value]).toEqual([0, 0, 0]);
  });
});

describe("outliers", () => {
  const of = (values: number[]) => outliers(values, (value) => value, 4, 25);

  test("are measured by the median of the others", () => {
    expect(of([10, 10, 10, 200])).toEqual([200]);
    expect(of([1, 9, 60, 11])).toEqual([60]);
    expect(of([10, 200, 200])).toEqual([]);
    expect(of([10, 10, 200, 200])).toEqual([200, 200]);
    expect(of([300, 10, 10, 10, 200])).toEqual([300, 200]);
  });

  test("leave a value out of its own median", () => {
    expect(outliers([10, 60, 100], (value) => value, 1.2, 1)).toEqual([100]);
  });

  test("need both the factor and the distance, and two others", () => {
    expect(of([1, 1, 26])).toEqual([]);
    expect(of([1, 1, 27])).toEqual([27]);
    expect(of([100, 100, 400])).toEqual([]);
    expect(of([1, 5000])).toEqual([]);
  });
});

test("times that are not over 0 are refused", () => {
  for (const ms of [0, -1, NaN]) {
    expect(() => new MovingAverage(ms)).toThrow(RangeError);
    expect(() => new PeakAverage(ms)).toThrow(RangeError);
    expect(() => new MovingShare(ms)).toThrow(RangeError);
  }
});
