/** Any mix of calls over any clock, beside a model that counts with bigints. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { layouts, parseSnowflake, snowflake, type SnowflakeLayout, snowflakeText } from "@catga/catga/ids";
import { codeOf, EPOCH, fakeClock, START } from "./support.ts";

type Step =
  | { readonly take: "next" | "nextText" | "nextNumber" }
  | { readonly fill: number; readonly as: "signed" | "unsigned" | "numbers" }
  | { readonly move: number }
  | { readonly restart: true };

const anyLayout: fc.Arbitrary<SnowflakeLayout> = fc.oneof(
  fc.constantFrom(...(Object.values(layouts) as SnowflakeLayout[])),
  fc.record({ worker: fc.nat(14), sequence: fc.integer({ min: 1, max: 18 }) }).chain(({ worker, sequence }) =>
    fc.integer({ min: 31, max: 63 - worker - sequence }).map((time) => ({
      time: Math.min(time, 53),
      worker,
      sequence,
    }))
  ),
);

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ take: fc.constantFrom("next", "nextText", "nextNumber") }) },
  {
    weight: 3,
    arbitrary: fc.record({
      fill: fc.oneof(fc.nat(20), fc.nat(3000)),
      as: fc.constantFrom("signed", "unsigned", "numbers"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ move: fc.oneof(fc.constantFrom(0.25, 1), fc.integer({ min: -40, max: 40 })) }),
  },
  { weight: 1, arbitrary: fc.record({ move: fc.constantFrom(-3_600_000, -2001, -2000, 2001, 3_600_000) }) },
  { weight: 1, arbitrary: fc.constant({ restart: true as const }) },
) as fc.Arbitrary<Step>;

/** What the ids have to be: time and count in bigints, and no shortcut. */
class Model {
  tick: number;
  count: number;
  readonly #layout: SnowflakeLayout;
  readonly #worker: number;
  readonly #ahead: number;

  constructor(layout: SnowflakeLayout, worker: number, ahead: number, from: number) {
    this.#layout = layout;
    this.#worker = worker;
    this.#ahead = ahead;
    this.tick = from - 1;
    this.count = 2 ** layout.sequence;
  }

  /** The next ids, or `undefined` and none taken if there are not so many now. */
  take(wall: number, many: number): bigint[] | undefined {
    const clock = Math.floor(wall);
    if (many === 0) return [];
    const full = this.count === 2 ** this.#layout.sequence;
    const next = Math.max(clock, full ? this.tick + 1 : this.tick);
    if (next - clock > this.#ahead) return undefined;
    if (next > this.tick) [this.tick, this.count] = [next, 0];
    const kept = [this.tick, this.count] as const;
    const ids: bigint[] = [];
    for (let n = 0; n < many; n++) {
      if (this.count === 2 ** this.#layout.sequence) [this.tick, this.count] = [this.tick + 1, 0];
      if (this.tick - clock > this.#ahead) {
        [this.tick, this.count] = kept;
        return undefined;
      }
      ids.push(this.#id(this.tick, this.count++));
    }
    return ids;
  }

  #id(tick: number, count: number): bigint {
    const { worker, sequence } = this.#layout;
    return (BigInt(tick - EPOCH) << BigInt(worker + sequence)) | (BigInt(this.#worker) << BigInt(sequence)) |
      BigInt(count);
  }
}

describe("any mix of calls", () => {
  test("gives the ids of the model: unique, in order, read back as they were made", () => {
    fc.assert(
      fc.property(
        anyLayout,
        fc.nat(),
        fc.constantFrom(0, 5, 2000),
        fc.array(anyStep, { minLength: 1, maxLength: 60 }),
        (layout, anyWorker, ahead, steps) => {
          const worker = anyWorker % 2 ** layout.worker;
          const numeric = layout.time + layout.worker + layout.sequence <= 53;
          const clock = fakeClock();
          const options = { clock, worker, layout, ahead };
          let ids = snowflake(options);
          let model = new Model(layout, worker, ahead, EPOCH);
          let last = -1n;
          let lastText = "";
          const meet = (got: () => readonly bigint[], many: number): void => {
            const wanted = model.take(clock.now, many);
            if (wanted === undefined) {
              return expect(["UNAVAILABLE", "OVERLOADED"]).toContain(codeOf(got) ?? "nothing");
            }
            const made = got();
            expect(made.length === many && made.every((id, at) => id === wanted[at])).toBe(true);
            for (const id of made) {
              expect(id > last).toBe(true);
              last = id;
            }
            if (many === 0) return;
            const text = snowflakeText(last);
            expect(text > lastText).toBe(true);
            lastText = text;
            const { time, ...parts } = parseSnowflake(text, { layout });
            expect(parts).toMatchObject({ id: last, worker, sequence: model.count - 1 });
            expect([time, time - clock.now <= ahead, ids.until]).toEqual([model.tick, true, model.tick + 1]);
          };
          for (const step of steps) {
            if ("move" in step) clock.now = Math.max(clock.now + step.move, START - 5_000_000);
            else if ("restart" in step) {
              ids = snowflake({ ...options, from: ids.until });
              model = new Model(layout, worker, ahead, model.tick + 1);
            } else if ("take" in step) {
              const way = step.take === "nextNumber" && !numeric ? "next" : step.take;
              meet(() => [ids.parse(ids[way]()).id], 1);
            } else {
              const array = step.as === "signed" || (step.as === "numbers" && !numeric)
                ? new BigInt64Array(step.fill)
                : step.as === "unsigned"
                ? new BigUint64Array(step.fill)
                : new Float64Array(step.fill);
              meet(() => Array.from(ids.fill(array), BigInt), step.fill);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test("text of any id is read back, and orders as the id does", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
        fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
        (
          one,
          other,
        ) => {
          const [text, otherText] = [snowflakeText(one), snowflakeText(other)];
          expect([text < otherText, text === otherText]).toEqual([one < other, one === other]);
          expect(parseSnowflake(text, { layout: layouts.lasting }).id).toBe(one);
        },
      ),
    );
  });

  test("no text makes parsing fail in another way than VALIDATION", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect([undefined, "VALIDATION"]).toContain(codeOf(() => parseSnowflake(text)));
      }),
    );
  });
});
