import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readEvents, type ServerSentEvent } from "../../adapters/client/event_source.ts";

async function read(text: string | Uint8Array, cuts: readonly number[] = []): Promise<ServerSentEvent[]> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  async function* chunks(): AsyncGenerator<Uint8Array> {
    let start = 0;
    for (const end of ends) {
      yield await Promise.resolve(bytes.subarray(start, end));
      start = end;
    }
  }
  const events: ServerSentEvent[] = [];
  for await (const event of readEvents(chunks())) events.push(event);
  return events;
}

describe("server-sent events are read", () => {
  test.each<[string, readonly [string, string][]]>([
    ["data: 1\n\n", [["message", "1"]]],
    ["data:1\r\n\r\nevent: a\r\ndata: 2\r\n\r\n", [["message", "1"], ["a", "2"]]],
    ["data: a\ndata:  b\ndata\n\n", [["message", "a\n b\n"]]],
    [": comment\n\nid: 7\nretry: 10\nother: x\n\n", []],
    ["event: lonely\n\ndata: 1\n\n", [["message", "1"]]],
    ["data: cut off\n", []],
    ["data\n\n", [["message", ""]]],
    ["\ufeffdata: 1\n\n", [["message", "1"]]],
  ])("case %#", async (text, events) => {
    expect(await read(text)).toEqual(events.map(([event, data]) => ({ event, data })));
  });

  test("the same in whatever chunks they come", async () => {
    const event = fc.record({
      event: fc.constantFrom("message", "end", "fault"),
      data: fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(event), fc.array(fc.nat(500)), async (events, cuts) => {
        const text = events.map(({ event, data }) => `event: ${event}\ndata: ${data}\n\n`).join(":\n\n");
        expect(await read(text, cuts)).toEqual(events);
      }),
      { numRuns: 100 },
    );
  });

  test("up to a million characters a line and an event, and as UTF-8 only", async () => {
    const fail = async (text: string | Uint8Array): Promise<unknown> => {
      try {
        return await read(text);
      } catch (thrown) {
        return thrown;
      }
    };
    expect(await fail("data: " + "x".repeat(1 << 20))).toBeInstanceOf(RangeError);
    expect(await fail(`data: ${"x".repeat(1_000)}\n`.repeat(1_100))).toBeInstanceOf(RangeError);
    expect(await fail(new Uint8Array([0x64, 0xff, 0x0a]))).toBeInstanceOf(TypeError);
    expect(await fail(": beat\n\n".repeat(10_000))).toEqual([]);
  });
});
