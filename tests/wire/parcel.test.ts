/** Messages that are kept: the quick way to write one makes what the codec would. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeMessage, WIRE_VERSION } from "../../src/wire/envelope.ts";
import { json } from "../../src/wire/json.ts";
import { decodeParcel, encodeParcel, type Parcel } from "../../src/wire/parcel.ts";

/** What could reach a prototype is written, and refused by whoever reads it. */
function isSafe(body: unknown): boolean {
  return !/"(?:__proto__|prototype)"/.test(JSON.stringify(body));
}

describe("a parcel", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", minLength: 1 }),
    fc.constantFrom("orders.paid", "a-1", "\u007f"),
  );
  const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
  const parcels: fc.Arbitrary<Parcel> = fc.record({
    type: text,
    id: text,
    body: fc.oneof(
      fc.jsonValue().filter(isSafe),
      fc.constantFrom(undefined, () => {}, Symbol("a"), NaN, new Date(0), [undefined]),
    ),
    correlationId: maybe(text),
    causationId: maybe(text),
    headers: maybe(fc.dictionary(fc.constantFrom("a", "b"), text)),
  });

  test("is written as the codec writes it, and read as what it was", () => {
    fc.assert(fc.property(parcels, (parcel) => {
      const frame = encodeParcel(json, parcel);
      expect(frame).toBe(json.encode([WIRE_VERSION, "parcel", encodeMessage(parcel, -1)]));
      const { body: _body, ...rest } = parcel;
      expect(decodeParcel(json, frame)).toMatchObject(rest);
    }));
  });

  test("whose body cannot be written is refused", () => {
    const parcel = {
      type: "t",
      id: "1",
      correlationId: undefined,
      causationId: undefined,
      headers: undefined,
    };
    const circle: Record<string, unknown> = {};
    circle["circle"] = circle;
    for (const body of [1n, circle]) expect(() => encodeParcel(json, { ...parcel, body })).toThrow(TypeError);
  });
});
