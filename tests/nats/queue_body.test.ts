/** How items are written into messages. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { bytesOf, decodeBody, encodeBody } from "../../adapters/nats/queue_body.ts";

const bytesIn = (frame: string | Uint8Array): Uint8Array =>
  typeof frame === "string" ? new TextEncoder().encode(frame) : frame;
const text = (longest: number) =>
  fc.string({ unit: "binary", maxLength: longest }).map((each) => each.toWellFormed());

describe("items as messages", () => {
  test("what is read is what was written", () => {
    const items = fc.record({
      id: text(20).map((id) => id.slice(0, 128) || "x").map((id) => id.toWellFormed()),
      key: fc.option(text(20), { nil: undefined }),
      payload: fc.oneof(text(40), fc.uint8Array({ maxLength: 40 })),
      delay: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e300, noNaN: true })),
    });
    fc.assert(fc.property(items, (item) => {
      const bytes = bytesIn(encodeBody(item));
      const body = decodeBody(bytes)!;
      expect([body.id, body.key, body.delay]).toEqual([item.id, item.key, Math.abs(item.delay)]);
      expect(body.text ?? bytesOf(bytes)).toEqual(item.payload);
    }));
  });

  test("bytes that nobody has written so are refused, or read, and never more", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const body = decodeBody(bytes);
      if (body !== undefined) bytesOf(bytes);
    }));
    for (
      const odd of ["", "\n", "1,1,0\n", "5,-,0\nabc", "1,-,-1\na", "1,-,x\na", "0,-,0\n", "1,-,1e999\na"]
    ) {
      expect(decodeBody(new TextEncoder().encode(odd))).toBe(undefined);
    }
  });
});
