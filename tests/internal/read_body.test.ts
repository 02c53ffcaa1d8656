import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readBody } from "../../src/internal/read_body.ts";

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
