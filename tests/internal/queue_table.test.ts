/** What the table of a queue stands on. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fifo } from "../../src/internal/fifo.ts";
import { type Timed, TimeHeap } from "../../src/internal/time_heap.ts";

describe("a heap of times", () => {
  test("has the first in front, whatever was put in and taken out", () => {
    const steps = fc.array(fc.record({ time: fc.nat(1000), takes: fc.nat(3), which: fc.nat() }), {
      maxLength: 100,
    });
    const before = (a: Timed, b: Timed): number => a.time - b.time || a.sequence - b.sequence;
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 20, maxLength: 60 }), steps, (times, steps) => {
        const heap = new TimeHeap<Timed>();
        const all: Timed[] = [];
        let sequence = 0;
        const add = (time: number): void => {
          const member = { time, place: -1, sequence: sequence++ };
          all.push(member);
          heap.add(member);
        };
        const remove = (member: Timed): void => {
          all.splice(all.indexOf(member), 1);
          heap.remove(member);
          expect(member.place).toBe(-1);
        };
        times.forEach(add);
        for (const { time, takes, which } of steps) {
          if (takes === 0) add(time);
          else if (all.length > 0) remove(all[which % all.length]!);
          expect(heap.first).toBe(all.toSorted(before)[0]);
        }
        while (all.length > 0) {
          expect(heap.first).toBe(all.toSorted(before)[0]);
          remove(heap.first!);
        }
        expect(heap.first).toBeUndefined();
      }),
    );
  });
});

describe("what comes in first", () => {
  test("goes out first, however much is in between", () => {
    const steps = fc.array(fc.integer({ min: -3000, max: 3000 }), { maxLength: 20 });
    fc.assert(fc.property(steps, (steps) => {
      const fifo = new Fifo<number>();
      let [pushed, shifted] = [0, 0];
      for (const step of steps) {
        for (let times = 0; times < step; times++) fifo.push(pushed++);
        for (let times = 0; times > step; times--) {
          const wanted = shifted < pushed ? shifted++ : undefined;
          if (fifo.peek() !== wanted || fifo.shift() !== wanted) throw new Error(`Wanted ${wanted}`);
        }
        expect(fifo.size).toBe(pushed - shifted);
      }
    }));
  });
});
