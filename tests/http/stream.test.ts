import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Frame, Peer, Receiver, Transport } from "@catga/catga/ports";
import { errorOf, framesOf, pause, realNode, until } from "./support.ts";

const LIMIT = 1_000_000;
type Node = Awaited<ReturnType<typeof realNode>>;

let there: Node;
let here: Node;
let to: Peer;
let transport: Transport;
let receiver: Receiver = () => Promise.resolve();
let asked = 0;

beforeAll(async () => {
  there = await realNode("there", (frame, reply, options) => receiver(frame, reply, options), {
    limit: LIMIT,
  });
  here = await realNode("here", undefined, { limit: LIMIT });
  to = there.peer;
  transport = here.transport;
});

afterAll(async () => {
  await Promise.all([there.server.stop({ grace: 100 }), here.server.stop({ grace: 100 })]);
});

/** What the answer to a frame looks like on the wire. */
async function wire(): Promise<{ frames: string | null; type: string | null; status: number; body: string }> {
  const answer = await fetch(`${to.endpoint}/catga/v1`, {
    method: "POST",
    body: "{}",
    headers: {
      "content-type": "application/json",
      "catga-auth": `1;none;x;*;${Date.now()};w.${asked++};none`,
    },
  });
  return {
    frames: answer.headers.get("catga-frames"),
    type: answer.headers.get("content-type"),
    status: answer.status,
    body: await answer.text(),
  };
}

describe("one piece", () => {
  test("no reply", async () => {
    receiver = () => Promise.resolve();
    expect(await framesOf(transport, to, "{}")).toEqual([]);
    expect((await wire()).status).toBe(204);
    receiver = () => pause(20);
    expect(await framesOf(transport, to, "{}")).toEqual([]);
  });

  test("one reply, also when its receiver settles some microtasks later or it took long to come", async () => {
    receiver = async (_frame, reply) => {
      await pause(10);
      await reply('{"a":1}');
      for (let n = 0; n < 4; n++) await undefined;
    };
    expect(await framesOf(transport, to, "{}")).toEqual(['{"a":1}']);
    const answer = { frames: "whole", type: "application/json", status: 200, body: '{"a":1}' };
    expect(await wire()).toEqual(answer);
  });

  test("odd frames: empty, with line breaks, unicode, bytes of every value", async () => {
    const bytes = new Uint8Array(256).map((_, at) => at);
    for (const frame of ["", "a\nb", ".", "!", "é😀\u2028", new Uint8Array(), bytes]) {
      receiver = async (got, reply) => void (await reply(got));
      expect(await framesOf(transport, to, frame)).toEqual([frame]);
    }
  });

  test("several replies at once are one body", async () => {
    receiver = async (_frame, reply) => {
      for (const frame of ["1", "2\n", "3"]) await reply(frame);
    };
    expect(await framesOf(transport, to, "{}")).toEqual(["1", "2\n", "3"]);
    expect(await wire()).toEqual({
      frames: "lines",
      type: "application/json",
      status: 200,
      body: ' 1\n"2\\n"\n 3\n.\n',
    });
    receiver = async (_frame, reply) => {
      for (const frame of [new Uint8Array([1]), new Uint8Array(), new Uint8Array([2, 3])]) await reply(frame);
    };
    expect(await framesOf(transport, to, new Uint8Array([9]))).toEqual([
      new Uint8Array([1]),
      new Uint8Array(),
      new Uint8Array([2, 3]),
    ]);
  });

  test("a receiver that fails before its first reply", async () => {
    receiver = () => Promise.reject(new Error("secret detail"));
    const error = await errorOf(transport.exchange(to, "{}", () => {}));
    expect(error.code).toBe("TRANSPORT");
    expect((await wire()).body).not.toContain("detail");
    receiver = () => {
      throw new Error("not even a promise");
    };
    expect((await errorOf(transport.exchange(to, "{}", () => {}))).code).toBe("TRANSPORT");
    expect(there.recorder.logs.some(({ event }) => event === "receiver.failed")).toBe(true);
  });

  test("text and bytes in one answer fail", async () => {
    receiver = async (_frame, reply) => {
      await reply("text");
      await reply(new Uint8Array(3));
    };
    expect((await errorOf(transport.exchange(to, "{}", () => {}))).code).toBe("TRANSPORT");
    receiver = async (_frame, reply) => {
      await reply("text");
      await pause(10);
      await reply(new Uint8Array(3));
    };
    expect((await errorOf(transport.exchange(to, "{}", () => {}))).code).toBe("TRANSPORT");
  });
});

describe("a stream", () => {
  test("frames arrive as they come", async () => {
    let next = (): void => {};
    receiver = async (_frame, reply) => {
      for (const frame of ["1", "2\n2", "", "é😀"]) {
        await reply(frame);
        await new Promise<void>((resolve) => next = resolve);
      }
    };
    const frames: Frame[] = [];
    const done = transport.exchange(to, "{}", (frame) => void frames.push(frame));
    for (let count = 1; count <= 4; count++) {
      await until(() => frames.length === count);
      await pause(5);
      next();
    }
    await done;
    expect(frames).toEqual(["1", "2\n2", "", "é😀"]);
  });

  test("large frames of text and of bytes arrive whole", async () => {
    const sizes = [1, 70_000, 0, 500_000, 3];
    receiver = async (frame, reply) => {
      for (const size of sizes) {
        await reply(typeof frame === "string" ? "é".repeat(size / 2) : new Uint8Array(size).fill(size % 251));
        await pause(1);
      }
    };
    expect(await framesOf(transport, to, "{}")).toEqual(sizes.map((size) => "é".repeat(size / 2)));
    const bytes = await framesOf(transport, to, new Uint8Array(1));
    expect(bytes).toEqual(sizes.map((size) => new Uint8Array(size).fill(size % 251)));
  });

  test("the receiver fails in the middle", async () => {
    receiver = async (_frame, reply) => {
      await reply("1");
      await pause(10);
      await reply("2");
      throw new Error("in the middle");
    };
    const frames: Frame[] = [];
    const error = await errorOf(transport.exchange(to, "{}", (frame) => void frames.push(frame)));
    expect(error.code).toBe("TRANSPORT");
    expect(error.message).not.toContain("in the middle");
    expect(frames).toEqual(["1", "2"]);
  });

  test("a slow reader holds the receiver back", async () => {
    let sent = 0;
    const frame = "x".repeat(100_000);
    receiver = async (_frame, reply) => {
      for (; sent < 400; sent++) await reply(frame);
    };
    let got = 0;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => release = resolve);
    const done = transport.exchange(to, "{}", () => {
      got++;
      return held;
    });
    await until(() => got === 1);
    await pause(300);
    // 40 MB are to be sent; buffers of two sockets and of the runtime hold a part of them.
    expect(sent).toBeLessThan(300);
    release();
    await done;
    expect(got).toBe(400);
  });

  test("a caller that goes away aborts the receiver's signal, before and amid replies", async () => {
    for (const first of [0, 1]) {
      let aborted = false;
      let started = false;
      receiver = async (_frame, reply, { signal }) => {
        signal!.addEventListener("abort", () => aborted = true);
        if (first === 1) await reply("1");
        started = true;
        await new Promise<void>((resolve) => signal!.addEventListener("abort", () => resolve()));
      };
      const controller = new AbortController();
      let got = 0;
      const outcome = errorOf(transport.exchange(to, "{}", () => void got++, { signal: controller.signal }));
      await until(() => started && got === first);
      await pause(20);
      expect(aborted).toBe(false);
      controller.abort();
      expect((await outcome).code).toBe("CANCELLED");
      await until(() => aborted);
    }
  });

  test("a signal that nobody aborted stays so after the answer", async () => {
    let signal: AbortSignal | undefined;
    receiver = async (_frame, reply, options) => {
      signal = options.signal;
      await reply("1");
      await pause(5);
      await reply("2");
    };
    expect(await framesOf(transport, to, "{}")).toEqual(["1", "2"]);
    await pause(30);
    expect(signal!.aborted).toBe(false);
  });

  test("a reply that throws ends the exchange and the receiver", async () => {
    let aborted = false;
    receiver = async (_frame, reply, { signal }) => {
      signal!.addEventListener("abort", () => aborted = true);
      while (!aborted) {
        await reply("x".repeat(1000));
        await pause(1);
      }
    };
    const error = await errorOf(transport.exchange(to, "{}", () => {
      throw new Error("enough");
    }));
    expect(error.code).toBe("TRANSPORT");
    await until(() => aborted);
  });

  test("a hundred exchanges at once, streamed and not", async () => {
    receiver = async (frame, reply) => {
      await reply(frame);
      if (Number(frame) % 2 === 0) {
        await pause(Number(frame) % 7);
        await reply(`${String(frame)}!`);
      }
    };
    const all = await Promise.all(Array.from({ length: 100 }, (_, n) => framesOf(transport, to, String(n))));
    all.forEach((frames, n) => expect(frames).toEqual(n % 2 === 0 ? [`${n}`, `${n}!`] : [`${n}`]));
  });
});
