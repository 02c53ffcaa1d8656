/** How events are written into messages, and what is known of a stream without reading them. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { NewEvent } from "@catga/catga/ports";
import {
  type AppendHead,
  decodeEvents,
  decodeHead,
  encodeEvents,
  encodeHead,
  headOf,
  lastPosition,
} from "../../adapters/nats/events_format.ts";
import { StreamIndex } from "../../adapters/nats/events_index.ts";

const text = (minLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: "grapheme", minLength, maxLength: 20 });
const events: fc.Arbitrary<NewEvent[]> = fc.array(
  fc.record({ id: text(1), type: text(1), data: text(0), meta: text(0) }, {
    requiredKeys: ["id", "type", "data"],
  }),
  { minLength: 1, maxLength: 5 },
);

describe("messages", () => {
  test("give back what was written", () => {
    fc.assert(fc.property(text(1), events, fc.nat(), fc.nat(), (stream, given, version, before) => {
      const head = decodeHead(encodeHead(headOf(given, version + 1, before)), 7);
      expect(head).toEqual(headOf(given, version + 1, before));
      const read = decodeEvents({ seq: 7, at: 99, head, data: encodeEvents(stream, given) });
      const place = (at: number) => ({
        version: version + 1 + at,
        position: 7 * 1024 + at,
        at: 99,
        stream,
      });
      expect(read).toEqual(given.map((event, at) => ({ ...event, ...place(at) })));
      expect(read.at(-1)!.position).toBe(lastPosition(7, head));
    }));
  });

  test("that are damaged are refused, whatever they are", () => {
    const head = headOf([{ id: "1", type: "t", data: "{}" }], 1, 0);
    const whole = encodeEvents("s", [{ id: "1", type: "t", data: "{}" }]);
    const refused = (data: Uint8Array): void =>
      expect(() => decodeEvents({ seq: 1, at: 0, head, data })).toThrow("Cannot read message 1");
    for (let length = 0; length < whole.length; length++) refused(whole.subarray(0, length));
    refused(new Uint8Array([...whole, 32]));
    refused(new Uint8Array([0xff, ...whole]));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (data) => refused(data)));
  });

  test.each([
    ["2 1 0 a"],
    ["1 0 0 a"],
    ["1 1 -1 a"],
    ["1 x 0 a"],
    ["1 1 0 ?"],
    ["1"],
    ["1 1 0 "],
    [" "],
    [`1 1 0 ${"a,".repeat(1024)}a`],
  ])("with a head that makes no sense are refused: %#", (head) => {
    expect(() => decodeHead(head, 5)).toThrow("Cannot read message 5");
  });

  test("of somebody else have no head", () => {
    expect([decodeHead(undefined, 1), decodeHead("", 1)]).toEqual([undefined, undefined]);
  });
});

describe("an index", () => {
  const appends = fc.array(
    fc.record({
      gap: fc.integer({ min: 1, max: 3 }),
      hashes: fc.array(fc.nat(6), { minLength: 1, maxLength: 4 }),
    }),
    { maxLength: 20 },
  );

  test("knows where each version is, and of no hash too little", () => {
    fc.assert(fc.property(appends, (given) => {
      const index = new StreamIndex();
      const model: { seq: number; hash: number; position: number }[] = [];
      let seq = 0, messages = 0;
      for (const { gap, hashes } of given) {
        const head: AppendHead = { version: model.length + 1, before: seq, hashes };
        seq += gap;
        index.add(seq, head);
        index.add(seq, head);
        index.add(seq - 1, head);
        messages++;
        hashes.forEach((hash, place) => model.push({ seq, hash, position: seq * 1024 + place }));
      }
      expect([index.last, index.version, index.messages]).toEqual([seq, model.length, messages]);
      model.forEach(({ seq, hash, position }, at) => {
        expect(index.candidates(hash)).toContain(at + 1);
        expect(index.seqOf(index.messageOf(at + 1))).toBe(seq);
        expect(index.positionOf(at + 1)).toBe(position);
      });
      expect(index.positionOf(0)).toBe(0);
      expect(index.candidates(1000)).toEqual([]);
    }));
  });

  test("passes over what it knows, what is not an append, and what repeats a version", () => {
    const index = new StreamIndex();
    index.add(1, { version: 1, before: 0, hashes: [1, 2] });
    index.add(2, undefined);
    index.add(3, { version: 2, before: 1, hashes: [3] });
    expect([index.last, index.version, index.messages]).toEqual([3, 2, 1]);
    index.add(4, { version: 3, before: 3, hashes: [4] });
    expect([index.last, index.version, index.positionOf(3)]).toEqual([4, 3, 4096]);
  });
});
