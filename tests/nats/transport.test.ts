/** Calls over a real nats-server: the transport is one, by WebSocket. */

import { afterAll, beforeAll, describe, test } from "bun:test";
import { nats } from "@catga/catga/nats";
import { systemRuntime } from "@catga/catga/ports";
import { transportConformance, type TransportNode, type TransportUnderTest } from "@catga/catga/testing";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false });
});
afterAll(() => server[Symbol.asyncDispose]());

const runtime = systemRuntime({ log: () => {} });

async function overNats(): Promise<TransportUnderTest> {
  const backends = await Promise.all([1, 2, 3].map(() => nats(server.ws, { runtime })));
  const open = (at: number, id: string, endpoint = id): TransportNode => {
    const self = { id, endpoint };
    return { self, transport: backends[at]!.open({ self, runtime }).transport };
  };
  return {
    caller: open(0, "a"),
    receiver: open(1, "b"),
    rival: open(2, "rival", "b"),
    nobody: { id: "c", endpoint: "c" },
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    close: async () => {
      await Promise.all(backends.map((backend) => backend[Symbol.asyncDispose]()));
    },
  };
}

describe("NATS by WebSocket is a transport", () => {
  for (const { name, run } of transportConformance(overNats)) test(name, run);
});
