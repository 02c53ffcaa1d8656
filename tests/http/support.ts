import { http, type HttpBackend, type HttpOptions } from "@catga/catga/http";
import {
  type Backend,
  type FetchInit,
  type FetchReply,
  type LogEntry,
  type Peer,
  type Receiver,
  type Runtime,
  systemRuntime,
  type Transport,
} from "@catga/catga/ports";
import { processRuntime, serve, type Server } from "@catga/catga/serve";
import type { CatgaError } from "@catga/catga";

export const SECRET = "correct horse battery staple, 32+";
export const OTHER_SECRET = "another secret with enough characters";

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until something holds; fails after 5 s. */
export async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 5) {
    if (waited > 5000) throw new Error("waited too long");
    await pause(5);
  }
}

export const echo: Receiver = async (frame, reply) => {
  await reply(frame);
};

export interface Recorder {
  readonly runtime: Runtime;
  readonly logs: LogEntry[];
  readonly sent: { readonly url: string; readonly init: FetchInit }[];
  skew: number;
}

/** A runtime that records, with its crypto synchronous or not and its requests given to a function. */
export function recorder(send?: (request: Request) => Promise<Response>, asynchronous = false): Recorder {
  const logs: LogEntry[] = [];
  const sent: { readonly url: string; readonly init: FetchInit }[] = [];
  const log = (entry: LogEntry): void => void logs.push(entry);
  const real = asynchronous ? systemRuntime({ log }) : processRuntime({ log });
  const fetch = async (url: string, init: FetchInit): Promise<FetchReply> => {
    sent.push({ url, init });
    if (send === undefined) return await real.fetch(url, init);
    return await send(new Request(url, init as RequestInit)) as unknown as FetchReply;
  };
  const self: Recorder = {
    runtime: { ...real, fetch, clock: { ...real.clock, wall: () => Date.now() + self.skew } },
    logs,
    sent,
    skew: 0,
  };
  return self;
}

/** Opens a backend for a node and serves a receiver. */
export async function open(
  backend: Backend,
  self: Peer,
  runtime: Runtime,
  receiver: Receiver = echo,
): Promise<Transport> {
  const { transport } = backend.open({ self, runtime });
  await transport.serve(self, receiver);
  return transport;
}

/** A node behind a real server on a free port. */
export async function realNode(
  id: string,
  receiver: Receiver = echo,
  options: Partial<HttpOptions> = {},
): Promise<{ backend: HttpBackend; server: Server; transport: Transport; peer: Peer; recorder: Recorder }> {
  const backend = http({ peers: [], ...options });
  const server = await serve((request) => backend.fetch(request), { port: 0 });
  const peer = { id, endpoint: server.url };
  const record = recorder();
  const transport = await open(backend, peer, record.runtime, receiver);
  return { backend, server, transport, peer, recorder: record };
}

/** What an exchange rejects with. */
export async function errorOf(exchange: Promise<void>): Promise<CatgaError> {
  try {
    await exchange;
  } catch (error) {
    return error as CatgaError;
  }
  throw new Error("the exchange did not fail");
}

/** The frames of an exchange. */
export async function framesOf(
  transport: Transport,
  to: Peer,
  frame: string | Uint8Array,
): Promise<unknown[]> {
  const frames: unknown[] = [];
  await transport.exchange(to, frame, (reply) => void frames.push(reply));
  return frames;
}
