/** Nodes on NATS by TCP: the transport is one there too, and the entries bring the right way to connect. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "@nats-io/transport-node";
import type { NatsConnectOptions } from "@catga/catga/nats";
import { nats as onDeno } from "@catga/catga/nats/deno";
import { nats } from "@catga/catga/nats/node";
import { systemRuntime } from "@catga/catga/ports";
import { transportConformance, type TransportNode, type TransportUnderTest } from "@catga/catga/testing";
import { beside } from "../support/beside.ts";
import { failed, sleep, until } from "./support.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false });
});
afterAll(() => server[Symbol.asyncDispose]());

const runtime = systemRuntime({ log: () => {} });

let clusters = 0;

async function overTcp(): Promise<TransportUnderTest> {
  const cluster = `t${clusters++}`;
  const backends = await Promise.all([1, 2, 3].map(() => nats(server.url, { runtime, cluster })));
  const open = (at: number, id: string, endpoint = id): TransportNode => {
    const self = { id, endpoint };
    return { self, transport: backends[at]!.open({ self, runtime }).transport };
  };
  return {
    caller: open(0, "a"),
    receiver: open(1, "b"),
    rival: open(2, "rival", "b"),
    nobody: { id: "c", endpoint: "c" },
    pass: sleep,
    close: async () => {
      await Promise.all(backends.map((backend) => backend[Symbol.asyncDispose]()));
    },
  };
}

// A process has one kind of connection at a time: those by TCP run beside each other, and end before the next begin.
const byTcp = beside(8);
const byWebSocket = beside(2);

describe("NATS by TCP is a transport", () => {
  for (const { name, run } of transportConformance(overTcp)) byTcp(name, run);
});

for (const [kind, test, where] of [["TCP", byTcp, "url"], ["WebSocket", byWebSocket, "ws"]] as const) {
  describe(`by ${kind}`, () => {
    const settings = { runtime, pingInterval: 100, connectTimeout: 1000, reconnectWait: 50 };
    const self = { id: "a", endpoint: "a" };

    test("a server that stands still with much that it does not take is found dead", async () => {
      await using server = await startNats({ jetstream: false });
      await using backend = await nats(server[where], settings);
      const { transport } = backend.open({ self, runtime });
      await transport.serve(self, () => new Promise(() => {}));
      server.pause();
      const frame = new Uint8Array(4_000_000);
      const ends = Array.from({ length: 10 }, () => failed(transport.exchange(self, frame, () => {})));
      expect(new Set(await Promise.all(ends))).toEqual(new Set(["TRANSPORT"]));
      expect(backend.status).toBe("away");
      server.resume();
      await until(() => backend.status === "connected");
    });

    test("and left for another one, before it goes on", async () => {
      await using server = await startNats({ jetstream: false });
      await using other = await startNats({ jetstream: false });
      await other.kill();
      await using backend = await nats([server[where], other[where]], settings);
      await other.restart();
      let again = 0;
      backend.onStatus((status) => status === "connected" && again++);
      const { transport } = backend.open({ self, runtime });
      await transport.serve(self, () => new Promise(() => {}));
      server.pause();
      const frame = new Uint8Array(4_000_000);
      const ends = Array.from({ length: 10 }, () => failed(transport.exchange(self, frame, () => {})));
      await Promise.all(ends);
      await until(() => again === 1);
      expect((await backend.health()).healthy).toBe(true);
    });
  });
}

describe("the entries", () => {
  test("for Deno hands on what is connected with", async () => {
    const seen: string[] = [];
    const given = (options: NatsConnectOptions) => {
      seen.push(...options.servers);
      return connect(options);
    };
    await using backend = await onDeno(server.url, { runtime, connect: given });
    expect((await backend.health()).healthy).toBe(true);
    expect(seen).toEqual([server.url]);
  });

  test("refuse WebSocket beside TCP, and both at once", async () => {
    await using backend = await nats(server.url, { runtime });
    expect(await failed(nats(server.ws, { runtime }))).toBe("CONFLICT");
    expect(await failed(nats([server.url, server.ws], { runtime }))).toBe("VALIDATION");
    expect(backend.status).toBe("connected");
  });

  test("take WebSocket when all others are closed", async () => {
    await using backend = await nats(server.ws, { runtime });
    expect(backend.status).toBe("connected");
  });

  test("for Node encrypt when they are told so", async () => {
    // The server takes nothing encrypted.
    expect(await failed(nats(server.url.replace("nats:", "tls:"), { runtime }))).toBe("UNAVAILABLE");
  });
});
