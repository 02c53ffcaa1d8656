/** What goes over the wire between nodes on NATS: whole, in few messages, and nothing that others say is believed. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { nats, type NatsBackend, type NatsOptions } from "@catga/catga/nats";
import { type Frame, type Receiver, systemRuntime, type Transport } from "@catga/catga/ports";
import { encodeToken } from "../../adapters/nats/names.ts";
import * as wire from "../../adapters/nats/transport_parts.ts";
import { Pieces } from "../../adapters/nats/transport_pieces.ts";
import { inboxOf } from "../../adapters/nats/transport_subjects.ts";
import { HOSTILE } from "./hostile.ts";
import { codeOf, failed, openLink, type TestLink, until } from "./support.ts";
import { type NatsServer, startNats } from "./server.ts";

const runtime = systemRuntime({ log: () => {} });
const echo: Receiver = async (frame, reply) => {
  await reply(frame);
};

describe("messages", () => {
  const frame = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom("x".repeat(20_000), "é".repeat(9000), new Uint8Array(13_000)),
  );
  const part = fc.record({
    kind: fc.constantFrom(wire.CALL_TEXT, wire.CANCEL, wire.REPLY_BYTES),
    seq: fc.nat(2 ** 32 - 1),
    payload: frame,
  });

  test("have all parts in order, none over the limit, and are as few as will do", () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.integer({ min: 4096, max: 9000 }), (parts, limit) => {
        const messages: Uint8Array[] = [];
        const ended: wire.Part[] = [];
        new wire.PartWriter(() => limit).write(parts, (message, with_) => {
          messages.push(message);
          ended.push(...with_);
        });
        expect(messages.every(({ length }) => length <= limit)).toBe(true);
        expect([...new Set(ended)]).toEqual([...new Set(parts)]);
        expect(joined(messages.map((message) => wire.readParts(message)!))).toEqual(
          parts.map(({ kind, seq, payload }) => [kind, seq, bytesOf(payload)]),
        );
        const size = parts.reduce((sum, { payload }) => sum + 9 + payload.length * 3, 1);
        if (size <= limit) expect(messages.length).toBe(parts.length === 0 ? 0 : 1);
      }),
    );
  });

  test("of random bytes are none, or have parts within them", () => {
    const random = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => new Uint8Array([0xc1, ...bytes])),
    );
    fc.assert(fc.property(random, (bytes) => {
      for (const { payload } of wire.readParts(bytes) ?? []) {
        expect(payload.byteOffset + payload.length).toBeLessThanOrEqual(bytes.byteOffset + bytes.length);
      }
    }));
  });

  test("of another version, without a part or cut short are none", () => {
    const message = new Uint8Array([0xc1, wire.CALL_TEXT, 1, 0, 0, 0, 1, 0, 0, 0, 65]);
    expect(wire.readParts(message)).toHaveLength(1);
    expect(wire.readParts(Uint8Array.from(message, (byte, at) => at === 0 ? 0xc2 : byte))).toBe(undefined);
    for (let end = 0; end < message.length; end++) {
      expect(wire.readParts(message.subarray(0, end))).toBe(undefined);
    }
    expect(wire.readParts(new Uint8Array([...message, 0]))).toBe(undefined);
  });

  test("that end with pieces are whole or nothing", () => {
    const pieces = new Pieces(10);
    const last = new Uint8Array([5, 0, 0, 0, 9]);
    expect(pieces.end("a", last)).toBe(undefined);
    pieces.add("a", new Uint8Array(4));
    expect(pieces.end("a", last)).toEqual(new Uint8Array([0, 0, 0, 0, 9]));
    expect(pieces.end("a", last)).toBe(undefined);
    pieces.add("a", new Uint8Array(3));
    expect(pieces.end("a", last)).toBe(undefined);
    pieces.add("a", new Uint8Array(11));
    expect(pieces.has("a")).toBe(false);
    pieces.add("a", new Uint8Array(4));
    for (let look = 0; look < 31; look++) pieces.look();
    expect(pieces.end("a", last)).toBe(undefined);
  });

  test("go back only to an inbox of the cluster", () => {
    const token = "A".repeat(22);
    expect(inboxOf("main", `catga.main.r.${token}.0-1-2`)).toBe(`catga.main.r.${token}`);
    const hostile = [
      undefined,
      "",
      "$JS.API.STREAM.DELETE.x",
      `catga.main.r.${token}`,
      `catga.main.r.${token}.`,
      `catga.main.r.${token}.>`,
      `catga.main.r.${token}.a.b`,
      `catga.main.r.*.a`,
      `catga.main.r.${"A".repeat(21)}.a`,
      `catga.main.n.${token}.a`,
      `catga.other.r.${token}.a`,
      `catga.main.r.${token}.${"a".repeat(1000)}`,
    ];
    for (const reply of hostile) expect(inboxOf("main", reply)).toBe(undefined);
  });
});

describe("over a server", () => {
  let server: NatsServer;
  let small: NatsServer;
  let link: TestLink;
  const backends: NatsBackend[] = [];
  beforeAll(async () => {
    server = await startNats({ jetstream: false });
    small = await startNats({ jetstream: false, settings: "max_payload: 65536" });
    link = await openLink(server.ws);
  });
  afterAll(async () => {
    await link[Symbol.asyncDispose]();
    for (const backend of backends) await backend[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await small[Symbol.asyncDispose]();
  });

  async function connect(url = server.ws, options: NatsOptions = {}): Promise<NatsBackend> {
    const backend = await nats(url, { runtime, ...options });
    backends.push(backend);
    return backend;
  }

  async function node(id: string, receiver: Receiver = echo, options: NatsOptions = {}): Promise<Transport> {
    const self = { id, endpoint: id };
    const { transport } = (await connect(server.ws, options)).open({ self, runtime });
    await transport.serve(self, receiver);
    return transport;
  }

  test("all calls of one turn to one node are one message, and so are their replies", async () => {
    await node("turn");
    const caller = (await connect()).open({ self: { id: "caller", endpoint: "caller" }, runtime }).transport;
    const to = { id: "turn", endpoint: "turn" };
    await caller.exchange(to, "first", () => {});
    let messages = 0;
    let replies = 0;
    const calls = link.connection.subscribe("catga.main.n.turn", { callback: () => void messages++ });
    const answers = link.connection.subscribe("catga.main.r.>", { callback: () => void replies++ });
    await link.connection.flush();
    const got: Frame[] = [];
    await Promise.all(
      Array.from({ length: 100 }, (_, n) => caller.exchange(to, `${n}`, (frame) => void got.push(frame))),
    );
    await link.connection.flush();
    expect(got).toHaveLength(100);
    expect([messages, replies]).toEqual([1, 1]);
    calls.unsubscribe();
    answers.unsubscribe();
    await caller[Symbol.asyncDispose]();
  });

  test("frames larger than the server takes arrive whole, those over the limit are refused", async () => {
    const backend = await connect(small.ws, { limit: 500_000 });
    const { transport } = backend.open({ self: { id: "a", endpoint: "a" }, runtime });
    await transport.serve({ id: "a", endpoint: "a" }, async (frame, reply) => {
      await reply(frame);
      await reply("small");
      await reply(frame);
    });
    const to = { id: "a", endpoint: "a" };
    const ask = async (frame: Frame): Promise<Frame[]> => {
      const replies: Frame[] = [];
      await transport.exchange(to, frame, (reply) => void replies.push(reply));
      return replies;
    };
    const frames = ["x".repeat(499_999), "é".repeat(300_000), new Uint8Array(200_000).fill(7)];
    const all = await Promise.all(frames.map(ask));
    expect(all).toEqual(frames.map((frame) => [frame, "small", frame]));
    expect(await failed(ask("x".repeat(500_001)))).toBe("UNAVAILABLE");
    await transport[Symbol.asyncDispose]();
    await transport.exchange(to, "x", () => {}).catch(() => {});
  });

  test("a reply over the limit is TRANSPORT", async () => {
    await node("large", (_frame, reply) => Promise.resolve(reply("x".repeat(5000))), { limit: 4096 });
    const caller = await node("large-caller");
    expect(await failed(caller.exchange({ id: "large", endpoint: "large" }, "", () => {}))).toBe("TRANSPORT");
  });

  test("endpoints that mean something to NATS are reached as themselves alone, or refused", async () => {
    const heard: string[] = [];
    const serving: string[] = [];
    const backend = await connect();
    const transports: Transport[] = [];
    for (const endpoint of HOSTILE) {
      const self = { id: "x", endpoint };
      if (encodeToken(endpoint) === undefined) {
        expect(codeOf(() => backend.open({ self, runtime }))).toBe("VALIDATION");
        continue;
      }
      const { transport } = backend.open({ self, runtime });
      transports.push(transport);
      await transport.serve(self, (frame) => {
        heard.push(`${endpoint}: ${String(frame)}`);
        return Promise.resolve();
      });
      serving.push(endpoint);
    }
    const caller = transports[0]!;
    for (const endpoint of HOSTILE) {
      const end = await failed(caller.exchange({ id: "x", endpoint }, endpoint.slice(0, 20), () => {}));
      expect([endpoint.slice(0, 20), end]).toEqual([
        endpoint.slice(0, 20),
        serving.includes(endpoint) ? "ok" : "UNAVAILABLE",
      ]);
    }
    expect(heard).toEqual(serving.map((endpoint) => `${endpoint}: ${endpoint.slice(0, 20)}`));
    for (const transport of transports) await transport[Symbol.asyncDispose]();
  });

  test("a cluster under another name is another one", async () => {
    await node("a-node");
    const other = await connect(server.ws, { cluster: "other" });
    const { transport } = other.open({ self: { id: "b", endpoint: "b" }, runtime });
    const to = { id: "a-node", endpoint: "a-node" };
    expect(await failed(transport.exchange(to, "?", () => {}))).toBe("UNAVAILABLE");
    await transport.serve({ id: "a-node", endpoint: "a-node" }, echo);
    expect(await failed(transport.exchange(to, "?", () => {}))).toBe("ok");
  });

  test("a hostile reply subject makes a node say nothing anywhere", async () => {
    let calls = 0;
    await node("hostile", async (frame, reply) => {
      calls++;
      await reply(frame);
    });
    const heard: string[] = [];
    for (const subject of ["$JS.>", "_INBOX.>", "victim.>", "catga.other.>"]) {
      link.connection.subscribe(subject, { callback: (_error, message) => void heard.push(message.subject) });
    }
    const messages: Uint8Array[] = [];
    const part = { kind: wire.CALL_TEXT, seq: 1, payload: "x" };
    const asked = { kind: wire.WAITING, seq: 1, payload: wire.numbersOf([1, 2, 3]) };
    new wire.PartWriter(() => 9000).write([part, asked], (message) => messages.push(message));
    const replies = ["$JS.API.STREAM.DELETE.x", "_INBOX.x", "victim.y", "catga.other.r.x.y", "victim"];
    for (const reply of replies) {
      for (const to of ["catga.main.n.hostile", "catga.main.w.hostile"]) {
        link.connection.publish(to, messages[0]!, { reply });
      }
    }
    link.connection.publish("catga.main.n.hostile", messages[0]!);
    await link.connection.flush();
    const caller = await node("hostile-caller");
    expect(await failed(caller.exchange({ id: "hostile", endpoint: "hostile" }, "", () => {}))).toBe("ok");
    await link.connection.flush();
    expect([calls, heard]).toEqual([1, []]);
  });

  test("10,000 forged messages, to nodes and to inboxes, change nothing", async () => {
    let calls = 0;
    await node("forged", async (frame, reply) => {
      calls++;
      await reply(frame);
    });
    const caller = await node("forged-caller");
    const to = { id: "forged", endpoint: "forged" };
    const inboxes = new Set<string>();
    const spy = link.connection.subscribe("catga.main.r.>", {
      callback: (_error, message) => void inboxes.add(message.subject),
    });
    await link.connection.flush();
    await caller.exchange(to, "first", () => {});
    await until(() => inboxes.size > 0);
    spy.unsubscribe();
    const [inbox] = [...inboxes];
    const reply = inbox!.replace(/\._$/, ".0");
    let seed = 1;
    const next = (): number => seed = (seed * 48_271) % 0x7fffffff;
    for (let n = 0; n < 10_000; n++) {
      const bytes = Uint8Array.from({ length: next() % 80 }, () => next());
      if (n % 3 === 0 && bytes.length > 0) bytes[0] = 0xc1;
      if (n % 6 === 0 && bytes.length > 10) {
        // A part whose length fits, of whatever kind but a call.
        bytes[1] = 16 + next() % 200;
        bytes.set([bytes.length - 10, 0, 0, 0], 6);
      }
      if (n % 2 === 0) link.connection.publish("catga.main.n.forged", bytes, { reply });
      else link.connection.publish(inbox!, bytes);
      if (n % 500 === 0) await link.connection.flush();
    }
    await link.connection.flush();
    const got: Frame[] = [];
    await caller.exchange(to, "last", (frame) => void got.push(frame));
    expect([got, calls]).toEqual([["last"], 2]);
  });
});

function bytesOf(payload: Frame): Uint8Array {
  return typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
}

/** Parts as they were before they were cut. */
function joined(messages: readonly (readonly wire.ReceivedPart[])[]): [number, number, Uint8Array][] {
  const pieces = new Pieces(1_000_000);
  const all: [number, number, Uint8Array][] = [];
  for (const { kind, seq, payload } of messages.flat()) {
    if (kind === wire.PIECE) pieces.add("x", payload);
    else if ((kind & wire.JOINED) === 0) all.push([kind, seq, payload.slice()]);
    else all.push([kind & ~wire.JOINED, seq, pieces.end("x", payload)!]);
  }
  return all;
}
