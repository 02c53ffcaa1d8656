import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { failure, type Fault, ok } from "@catga/catga";
import {
  decodeEnvelope,
  decodeMessage,
  decodeReply,
  encodeEnvelope,
  encodeMessage,
  encodeReply,
  type FrameKind,
  WIRE_VERSION,
  WireError,
  type WireMessage,
} from "../../src/wire/envelope.ts";
import { json } from "../../src/wire/json.ts";

/** Plain data as JSON gives it back: no -0, and no key that the codec refuses. */
const plain: fc.Arbitrary<unknown> = fc.jsonValue({ maxDepth: 4 })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
  .filter((value) => !/__proto__|"constructor"/.test(JSON.stringify(value)));
const body = fc.oneof(plain, fc.constant(undefined), fc.constant(null));
const text = fc.string({ maxLength: 40 });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const headers = fc.dictionary(text.filter((key) => key !== "__proto__"), text, { noNullPrototype: true });
const message: fc.Arbitrary<WireMessage> = fc.record({
  type: text,
  id: maybe(text),
  body,
  correlationId: maybe(text),
  causationId: maybe(text),
  headers: maybe(headers),
});
const remaining = fc.integer({ min: -1, max: 2 ** 40 });
const kinds: readonly FrameKind[] = ["call", "stream", "notice", "cancel", "beat"];
const bytes = (frame: string | Uint8Array) =>
  typeof frame === "string" ? new TextEncoder().encode(frame) : frame;

/** One item there and back, as text. */
const carried = (item: unknown): unknown => json.decode(json.encode(item));

describe("what is sent comes as it was", () => {
  test("envelopes, as text and as bytes", () => {
    const envelope = fc.record({
      kind: fc.constantFrom(...kinds),
      from: fc.string({ maxLength: 128 }).filter((from) => from.length <= 128),
      incarnation: count,
      seq: count,
      items: fc.array(plain, { maxLength: 5 }),
    });
    fc.assert(fc.property(envelope, (sent) => {
      const frame = encodeEnvelope(json, sent);
      expect(decodeEnvelope(json, frame)).toEqual(sent);
      expect(decodeEnvelope(json, bytes(frame))).toEqual(sent);
    }));
  });

  test("messages, whatever they carry", () => {
    fc.assert(
      fc.property(message, remaining, (sent, left) => {
        const received = decodeMessage(carried(encodeMessage(sent, left)));
        expect(received).toEqual({ ...sent, remaining: left });
        expect("body" in received && received.body === undefined).toBe(sent.body === undefined);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    [undefined, undefined],
    [null, undefined],
    [undefined, { tenant: "a" }],
    [null, { tenant: "a" }],
    [0, {}],
    ["", { a: "" }],
    [false, undefined],
  ])("a body %j with headers %j", (sent, head) => {
    const whole: WireMessage = {
      type: "x",
      id: undefined,
      body: sent,
      correlationId: undefined,
      causationId: undefined,
      headers: head as WireMessage["headers"],
    };
    expect(decodeMessage(carried(encodeMessage(whole, 5)))).toEqual({ ...whole, remaining: 5 });
  });

  test("what most messages carry costs no more than its place", () => {
    const bare = {
      type: "x",
      id: undefined,
      correlationId: undefined,
      causationId: undefined,
      headers: undefined,
    };
    expect(encodeMessage({ ...bare, body: 1 }, 9)).toEqual(["x", 0, 9, 1]);
    expect(encodeMessage({ ...bare, body: undefined }, 9)).toEqual(["x", 0, 9]);
  });

  test("replies with a value", () => {
    fc.assert(fc.property(count, body, (index, value) => {
      const reply = decodeReply(carried(encodeReply(index, ok(value))));
      expect(reply).toEqual({ index, answered: true, result: ok(value) });
      expect(reply.result.ok && reply.result.value === undefined).toBe(value === undefined);
    }));
  });

  test("replies with a fault, with and without data, but never its cause", () => {
    const fault = fc.record({ code: text, message: text, data: body, retryable: fc.boolean() });
    fc.assert(fc.property(count, fault, fc.boolean(), (index, error, answered) => {
      const withCause: Fault = { ...error, cause: new Error("secret") };
      const item = encodeReply(index, failure(withCause), answered);
      expect(JSON.stringify(item)).not.toContain("secret");
      expect(decodeReply(carried(item))).toEqual({ index, answered, result: failure(error) });
    }));
  });

  test("what cannot be encoded says so by throwing", () => {
    const ring: unknown[] = [];
    ring.push(ring);
    for (const item of [1n, ring]) {
      expect(() => encodeEnvelope(json, { kind: "call", from: "a", incarnation: 1, seq: 1, items: [item] }))
        .toThrow(TypeError);
    }
  });
});

describe("garbage", () => {
  const loose = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(0, 1, 2, -1, 1.5, 1e308, null, "", "x", [], {}, "x".repeat(300), undefined),
  );
  /** Lists that look a little like the real ones. */
  const shaped = (...parts: fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> =>
    fc.tuple(
      ...parts.map((part) => fc.oneof({ weight: 4, arbitrary: part }, { weight: 1, arbitrary: loose })),
      fc.nat(8),
    )
      .map((all) => all.slice(0, all.at(-1) as number));
  const odd = fc.oneof(fc.jsonValue(), fc.anything());

  /** What a decoder answered; `undefined` if it threw an `Error`. */
  function tried<T>(decode: () => T): T | undefined {
    try {
      return decode();
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(Error);
      return undefined;
    }
  }

  test("an envelope is one or an Error", () => {
    const near = shaped(
      fc.constant(WIRE_VERSION),
      fc.constantFrom(...kinds),
      text,
      count,
      count,
      fc.array(fc.jsonValue()),
    ).map((value) => JSON.stringify(value) ?? "");
    const frame = fc.oneof(near, fc.json(), fc.string(), fc.uint8Array());
    fc.assert(
      fc.property(frame, (what) => {
        const envelope = tried(() => decodeEnvelope(json, what));
        if (envelope === undefined) return;
        expect(typeof envelope.kind).toBe("string");
        expect(typeof envelope.from).toBe("string");
        expect(envelope.from.length).toBeLessThanOrEqual(128);
        expect(Number.isSafeInteger(envelope.incarnation) && envelope.incarnation >= 0).toBe(true);
        expect(Number.isSafeInteger(envelope.seq) && envelope.seq >= 0).toBe(true);
        expect(Array.isArray(envelope.items)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("a message is one or an Error", () => {
    const meta = fc.oneof(
      fc.record({ n: loose, c: loose, u: loose, h: loose }, { requiredKeys: [] }),
      fc.constant(null),
    );
    fc.assert(
      fc.property(
        fc.oneof(shaped(text, fc.oneof(text, fc.constant(0)), remaining, loose, meta), odd),
        (item) => {
          const received = tried(() => decodeMessage(item));
          if (received === undefined) {
            return;
          }
          expect(typeof received.type).toBe("string");
          expect(typeof received.remaining).toBe("number");
          expect(["string", "undefined"]).toContain(typeof received.id);
          expect((received.id ?? "").length).toBeLessThanOrEqual(256);
          expect(["string", "undefined"]).toContain(typeof received.correlationId);
          expect(["string", "undefined"]).toContain(typeof received.causationId);
          expect(Object.values(received.headers ?? {}).every((value) => typeof value === "string")).toBe(
            true,
          );
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("a reply is one or an Error", () => {
    const item = fc.oneof(
      shaped(count, fc.constantFrom(0, 1, 2), text, text, fc.constantFrom(0, 1), loose),
      odd,
    );
    fc.assert(
      fc.property(item, (what) => {
        const reply = tried(() => decodeReply(what));
        if (reply === undefined) return;
        expect(typeof reply.index).toBe("number");
        expect(typeof reply.answered).toBe("boolean");
        if (reply.result.ok) return;
        const { code, message: said, retryable } = reply.result.error;
        expect([typeof code, typeof said, typeof retryable]).toEqual(["string", "string", "boolean"]);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [2, "has format 2, this node speaks 1"],
    [0, "has format 0"],
    ["1", "has format 1"],
    [null, "has format null"],
  ])("format %j is refused by name", (version, said) => {
    const frame = JSON.stringify([version, "call", "a", 1, 1, []]);
    expect(() => decodeEnvelope(json, frame)).toThrow(WireError);
    expect(() => decodeEnvelope(json, frame)).toThrow(said);
  });

  test("bytes that are no text, and keys that reach a prototype, are refused", () => {
    expect(() => decodeEnvelope(json, new Uint8Array([0xff, 0xfe]))).toThrow();
    expect(() => decodeEnvelope(json, '[1,"call","a",1,1,[{"__proto__":{}}]]')).toThrow("__proto__");
  });
});
