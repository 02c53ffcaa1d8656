/** The transports of this library are transports, and what is none is found out. */

import { describe, expect, test } from "bun:test";
import { http, type HttpOptions } from "@catga/catga/http";
import { memory } from "@catga/catga/memory";
import { type Peer, systemRuntime } from "@catga/catga/ports";
import { processRuntime, serve } from "@catga/catga/serve";
import {
  createSimulation,
  transportConformance,
  type TransportNode,
  type TransportUnderTest,
} from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

const SECRET = "correct horse battery staple, 32+";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function inMemory(): Promise<TransportUnderTest> {
  const backend = memory();
  const runtime = systemRuntime();
  const open = (id: string, endpoint = `memory:${id}`): TransportNode => {
    const self = { id, endpoint };
    return { self, transport: backend.open({ self, runtime }).transport };
  };
  return Promise.resolve({
    caller: open("a"),
    receiver: open("b"),
    rival: open("rival", "memory:b"),
    nobody: { id: "c", endpoint: "memory:c" },
    pass: sleep,
  });
}

/** Two nodes behind servers of their own on this machine. */
async function overHttp(options: Partial<HttpOptions> = {}): Promise<TransportUnderTest> {
  const runtime = processRuntime({ log: () => {} });
  const start = async (id: string) => {
    const backend = http({ peers: [], ...options });
    const server = await serve(backend.fetch, { port: 0 });
    const self: Peer = { id, endpoint: server.url };
    return { self, server, transport: backend.open({ self, runtime }).transport };
  };
  const [caller, receiver, nobody] = await Promise.all(["a", "b", "c"].map(start));
  await nobody!.server.stop();
  return {
    caller: caller!,
    receiver: receiver!,
    nobody: nobody!.self,
    pass: sleep,
    close: async () => {
      await Promise.all([caller, receiver].map((node) => node!.server.stop({ grace: 100 })));
    },
  };
}

/** Two nodes in a world whose time runs on for as long as a check waits for it. */
function simulated(): Promise<TransportUnderTest> {
  const simulation = createSimulation({ seed: 1, ...(drain === undefined ? {} : { drain }) });
  const network = simulation.network();
  const open = (id: string, endpoint = `sim:${id}`): TransportNode => {
    const self = { id, endpoint };
    return { self, transport: network.backend.open({ self, runtime: simulation.runtime(id) }).transport };
  };
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
  let opened = true;
  let until = 0;
  const pump = (async () => {
    while (opened) {
      await simulation.run(Math.max(until - simulation.time, 0.5));
      await turn();
    }
  })();
  return Promise.resolve({
    caller: open("a"),
    receiver: open("b"),
    rival: open("rival", "sim:b"),
    nobody: { id: "c", endpoint: "sim:c" },
    pass: async (ms) => {
      const end = simulation.time + ms;
      until = Math.max(until, end);
      while (simulation.time < end) await turn();
    },
    close: async () => {
      opened = false;
      await pump;
      expect(simulation.pending()).toEqual({ timers: 0, background: 0, exchanges: 0 });
    },
  });
}

describe.each(
  [
    ["memory", inMemory, 20],
    ["HTTP", () => overHttp(), 50],
    ["signed HTTP", () => overHttp({ secret: SECRET }), 50],
    ["the simulated network", simulated, 20],
  ] as const,
)("%s is a transport", (_name, make, pause) => {
  for (const { name, run } of transportConformance(make, { pause })) test(name, run);
});
