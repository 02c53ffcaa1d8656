/** Being alone: nobody beside, in turn, and never for ever. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Quarantine } from "../../src/durable/quarantine.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";

const PATIENCE = 1000;

interface Visit {
  readonly at: number;
  readonly lasts: number;
  readonly alone: boolean;
  /** When it is given up, after its beginning. */
  readonly abort: number | undefined;
}

const visit: fc.Arbitrary<Visit> = fc.record({
  at: fc.integer({ min: 0, max: 300 }),
  lasts: fc.integer({ min: 0, max: 200 }),
  alone: fc.boolean(),
  abort: fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }),
});

describe("a quarantine", () => {
  test("has one who is alone or any number who are not, lets all in, in turn, and keeps no timer", async () => {
    await fc.assert(fc.asyncProperty(fc.array(visit, { maxLength: 12 }), async (visits) => {
      const runtime = fakeRuntime();
      const { clock } = runtime;
      const quarantine = new Quarantine(clock);
      const inside = new Set<Visit>();
      const begun: Visit[] = [];
      let over = 0;
      const check = (): void => {
        const alone = [...inside].some((each) => each.alone);
        expect(alone ? inside.size : 1).toBe(1);
      };
      const rest = (ms: number): Promise<void> => new Promise((resolve) => void clock.timer(ms, resolve));
      for (const each of visits) {
        clock.timer(each.at, () => {
          const controller = new AbortController();
          if (each.abort !== undefined) clock.timer(each.abort, () => controller.abort());
          void (async () => {
            const { signal } = controller;
            if (each.alone) {
              if (!await quarantine.close(signal, PATIENCE * 10)) return void over++;
            } else {
              await quarantine.enter(signal);
              if (signal.aborted) {
                quarantine.leave();
                return void over++;
              }
            }
            begun.push(each);
            inside.add(each);
            check();
            await rest(each.lasts);
            inside.delete(each);
            each.alone ? quarantine.open() : quarantine.leave();
            over++;
          })();
        });
      }
      await runtime.advance(10_000);
      expect([over, inside.size, runtime.pending()]).toEqual([visits.length, 0, 0]);
      const given = visits.filter(({ abort }) => abort === undefined);
      expect(given.every((each) => begun.includes(each))).toBe(true);
    }));
  });

  test("lets those that wait in the order in which they came", async () => {
    const runtime = fakeRuntime();
    const quarantine = new Quarantine(runtime.clock);
    const { signal } = new AbortController();
    const log: string[] = [];
    expect(await quarantine.close(signal, PATIENCE)).toBe(true);
    const alone = async (name: string): Promise<void> => {
      await quarantine.close(signal, PATIENCE);
      log.push(name);
      await new Promise<void>((resolve) => void runtime.clock.timer(10, resolve));
      log.push(`${name} over`);
      quarantine.open();
    };
    const beside = async (name: string): Promise<void> => {
      await quarantine.enter(signal);
      log.push(name);
      quarantine.leave();
    };
    void alone("a");
    void beside("b");
    void alone("c");
    void beside("d");
    quarantine.open();
    await runtime.advance(100);
    expect(log).toEqual(["a", "a over", "b", "c", "c over", "d"]);
  });

  test("is not kept open by one who stays inside", async () => {
    const runtime = fakeRuntime();
    const quarantine = new Quarantine(runtime.clock);
    const { signal } = new AbortController();
    quarantine.enter(signal);
    let isAlone = false;
    void quarantine.close(signal, PATIENCE).then((closed) => isAlone = closed);
    let isInside = false;
    void quarantine.enter(signal)!.then(() => isInside = true);
    await runtime.advance(PATIENCE - 1);
    expect([isAlone, isInside]).toEqual([false, false]);
    await runtime.advance(1);
    expect([isAlone, isInside]).toEqual([true, false]);
    quarantine.leave();
    quarantine.open();
    await runtime.advance(0);
    expect([isInside, runtime.pending()]).toEqual([true, 0]);
  });
});
