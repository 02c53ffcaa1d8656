import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readBody, readMessage } from "../../src/internal/read_body.ts";

/** A body that says how far it was read and whether it was left. */
function bodyOf(parts: readonly Uint8Array[], end: () => void = () => {}) {
  const seen = { read: 0, left: false };
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for (const part of parts) {
        seen.read++;
        yield part;
      }
      end();
    } finally {
      seen.left = true;
    }
  }
  return { body: body(), seen };
}

describe("readBody", () => {
  test("gives all bytes in order, or nothing when there are more than the limit", async () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 });
    await fc.assert(fc.asyncProperty(parts, fc.nat(60), async (sent, limit) => {
      const whole = sent.flatMap((part) => [...part]);
      const { body, seen } = bodyOf(sent);
      const got = await readBody(body, limit);
      expect(got === undefined ? undefined : [...got]).toEqual(whole.length > limit ? undefined : whole);
      expect(seen.left || seen.read === 0).toBe(true);
    }));
  });

  test("stops at the first byte over the limit, and the sender learns of it", async () => {
    const { body, seen } = bodyOf(Array.from({ length: 1000 }, () => new Uint8Array(10)));
    expect(await readBody(body, 25)).toBeUndefined();
    expect(seen).toEqual({ read: 3, left: true });
  });

  test("no body is an empty one", async () => {
    expect(await readBody(null, 0)).toEqual(new Uint8Array());
    expect(await readBody(bodyOf([]).body, 0)).toEqual(new Uint8Array());
  });

  test("rejects as the body does", async () => {
    const { body } = bodyOf([new Uint8Array(1)], () => {
      throw new Error("the line broke");
    });
    expect(await readBody(body, 10).catch((thrown: Error) => thrown.message)).toBe("the line broke");
  });
});

describe("readMessage", () => {
  const bytes = Uint8Array.of(1, 2, 3);

  test.each<[string, HeadersInit, number, "whole" | "stream" | "nothing"]>([
    ["whole, as its length was said", { "content-length": "3" }, 3, "whole"],
    ["as a stream without a length", {}, 3, "stream"],
    [
      "as a stream where it may become larger",
      { "content-length": "3", "content-encoding": "gzip" },
      3,
      "stream",
    ],
    [
      "whole, where it is coded as it is",
      { "content-length": "3", "content-encoding": "identity" },
      3,
      "whole",
    ],
    ["not at all, if it is too long", { "content-length": "4" }, 3, "nothing"],
    ["not at all, if its length is none", { "content-length": "many" }, 3, "nothing"],
    ["in vain, if it is longer than was said", { "content-length": "2" }, 2, "whole"],
  ])("is read %s", async (_, headers, limit, way) => {
    const { body, seen } = bodyOf([bytes]);
    let asked = 0;
    const arrayBuffer = (): Promise<ArrayBuffer> => (asked++, Promise.resolve(bytes.slice().buffer));
    const got = await readMessage({ headers: new Headers(headers), body, arrayBuffer }, limit);
    expect(got).toEqual(way === "nothing" || limit < 3 ? undefined : bytes);
    expect(asked).toBe(way === "whole" ? 1 : 0);
    expect(seen.read).toBe(way === "stream" ? 1 : 0);
  });

  test("without a platform that reads it whole it is a stream; one that is too long is ended", async () => {
    const headers = new Headers({ "content-length": "3" });
    expect(await readMessage({ headers, body: bodyOf([bytes]).body }, 3)).toEqual(bytes);
    let ended = 0;
    const body = {
      ...bodyOf([bytes]).body,
      destroy: () => ended++,
      [Symbol.asyncIterator]: () => bodyOf([]).body,
    };
    const arrayBuffer = (): Promise<ArrayBuffer> => Promise.reject(new Error("not asked"));
    expect(await readMessage({ headers, body, arrayBuffer }, 2)).toBeUndefined();
    expect(ended).toBe(1);
  });
});
