/** The hub within a process, as a transport is promised to be. */

import { describe, expect, test } from "bun:test";
import { memory } from "@catga/catga/memory";
import { type BackendParts, type Frame, type Peer, type Receiver, systemRuntime } from "@catga/catga/ports";

const a: Peer = { id: "a", endpoint: "memory:a" };
const b: Peer = { id: "b", endpoint: "memory:b" };
const runtime = systemRuntime();

/** Two nodes on one hub; the second answers. */
async function pair(
  receiver: Receiver,
): Promise<{ from: BackendParts; to: BackendParts; served: AsyncDisposable }> {
  const backend = memory();
  const from = backend.open({ self: a, runtime });
  const to = backend.open({ self: b, runtime });
  return { from, to, served: await to.transport.serve(b, receiver) };
}

function codeOf(exchange: Promise<void>): Promise<string> {
  return exchange.then(() => "ok", (error: { code: string }) => error.code);
}

const echo: Receiver = async (frame, reply) => {
  await reply(frame);
};

describe("exchange", () => {
  test("hands over a frame and each reply, then settles", async () => {
    const { from } = await pair(async (frame, reply) => {
      for (let part = 1; part <= 3; part++) await reply(`${String(frame)} ${part}`);
    });
    const replies: Frame[] = [];
    await from.transport.exchange(b, "hello", (frame) => void replies.push(frame));
    expect(replies).toEqual(["hello 1", "hello 2", "hello 3"]);
  });

  test("nothing happens in the caller's turn", async () => {
    const seen: string[] = [];
    const { from } = await pair(async (frame, reply) => {
      seen.push("received");
      await reply(frame);
    });
    const exchange = from.transport.exchange(b, new Uint8Array([1]), () => void seen.push("replied"));
    seen.push("sent");
    await exchange;
    expect(seen).toEqual(["sent", "received", "replied"]);
  });

  test("replies of a receiver that does not wait come in order, and all of them", async () => {
    const { from } = await pair((_, reply) => {
      for (let part = 0; part < 100; part++) void reply(String(part));
      return Promise.resolve();
    });
    const replies: Frame[] = [];
    await from.transport.exchange(b, "", (frame) => Promise.resolve().then(() => void replies.push(frame)));
    expect(replies).toEqual(Array.from({ length: 100 }, (_, part) => String(part)));
  });

  test("a slow caller makes the receiver wait", async () => {
    let sent = 0;
    const { from } = await pair(async (_, reply) => {
      for (; sent < 5; sent++) await reply("");
    });
    let release = (): void => {};
    const exchange = from.transport.exchange(b, "", () => new Promise<void>((resolve) => release = resolve));
    for (let taken = 0; taken < 5; taken++) {
      await settle();
      expect(sent).toBe(taken);
      release();
    }
    await exchange;
  });

  test("a receiver that floods a slow caller is broken off", async () => {
    const { from } = await pair((_, reply) => {
      for (let part = 0; part < 2000; part++) void reply("");
      return new Promise(() => {});
    });
    expect(await codeOf(from.transport.exchange(b, "", () => new Promise(() => {})))).toBe("TRANSPORT");
  });
});

describe("an exchange fails", () => {
  test("UNAVAILABLE when nobody has that endpoint", async () => {
    const { from } = await pair(echo);
    const nobody = { id: "c", endpoint: "memory:c" };
    expect(await codeOf(from.transport.exchange(nobody, "", () => {}))).toBe("UNAVAILABLE");
  });

  test("UNAVAILABLE when the node is gone, or one's own transport closed", async () => {
    const { from, served } = await pair(echo);
    await served[Symbol.asyncDispose]();
    expect(await codeOf(from.transport.exchange(b, "", () => {}))).toBe("UNAVAILABLE");
    await from.transport[Symbol.asyncDispose]();
    expect(await codeOf(from.transport.exchange(b, "", () => {}))).toBe("UNAVAILABLE");
  });

  test.each<[string, Receiver]>([
    ["rejects", () => Promise.reject(new Error("no"))],
    ["throws", () => {
      throw new Error("no");
    }],
  ])("TRANSPORT when the receiver %s", async (_, receiver) => {
    const { from } = await pair(receiver);
    expect(await codeOf(from.transport.exchange(b, "", () => {}))).toBe("TRANSPORT");
  });

  test("TRANSPORT when the caller cannot take a reply, and the receiver hears of it", async () => {
    let told: AbortSignal | undefined;
    const { from } = await pair(async (frame, reply, { signal }) => {
      told = signal;
      await reply(frame);
      await new Promise(() => {});
    });
    const exchange = from.transport.exchange(b, "", () => {
      throw new Error("no");
    });
    expect(await codeOf(exchange)).toBe("TRANSPORT");
    expect(told?.aborted).toBe(true);
  });

  test.each(["serve", "transport"] as const)(
    "TRANSPORT when the node's %s is disposed meanwhile",
    async (what) => {
      let told: AbortSignal | undefined;
      const { from, to, served } = await pair((_, __, { signal }) => {
        told = signal;
        return new Promise(() => {});
      });
      const exchange = codeOf(from.transport.exchange(b, "", () => {}));
      await settle();
      await (what === "serve" ? served : to.transport)[Symbol.asyncDispose]();
      expect(await exchange).toBe("TRANSPORT");
      expect(told?.aborted).toBe(true);
    },
  );

  test("CANCELLED when the caller aborts, and the receiver hears of it", async () => {
    let told: AbortSignal | undefined;
    const { from } = await pair((_, __, { signal }) => {
      told = signal;
      return new Promise(() => {});
    });
    const controller = new AbortController();
    const exchange = codeOf(from.transport.exchange(b, "", () => {}, { signal: controller.signal }));
    await settle();
    controller.abort();
    expect(await exchange).toBe("CANCELLED");
    expect(told?.aborted).toBe(true);
  });

  test("CANCELLED before anything is sent when the signal was aborted before", async () => {
    let received = 0;
    const { from } = await pair(() => Promise.resolve(void received++));
    const exchange = from.transport.exchange(b, "", () => {}, { signal: AbortSignal.abort() });
    expect(await codeOf(exchange)).toBe("CANCELLED");
    expect(received).toBe(0);
  });
});

describe("the hub", () => {
  test("lists all other nodes that take frames", async () => {
    const { from, to, served } = await pair(echo);
    expect(from.seeds()).toEqual([b]);
    expect(to.seeds()).toEqual([]);
    await served[Symbol.asyncDispose]();
    expect(from.seeds()).toEqual([]);
  });

  test("refuses an endpoint that is taken, and gives it away again", async () => {
    const backend = memory();
    const { transport } = backend.open({ self: a, runtime });
    const served = await transport.serve(a, echo);
    expect(() => backend.open({ self: a, runtime })).toThrow(
      'the endpoint "memory:a" is taken by the node "a"',
    );
    await served[Symbol.asyncDispose]();
    await backend.open({ self: a, runtime }).transport.serve(a, echo);
  });

  test("keeps nothing, and says so", () => {
    const backend = memory();
    expect([backend.name, backend.open({ self: a, runtime }).durability]).toEqual(["memory", "none"]);
  });
});

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
