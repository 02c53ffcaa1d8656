/** Two nodes on a simulated network, without a cluster. */

import type { Frame, Peer, Receiver, Reply, Runtime, Transport } from "@catga/catga/ports";
import {
  createSimulation,
  type NetworkOptions,
  type SimulatedNetwork,
  type Simulation,
} from "@catga/catga/testing";

export interface Pair {
  readonly simulation: Simulation;
  readonly network: SimulatedNetwork;
  /** The caller's. */
  readonly a: Transport;
  readonly b: Transport;
  readonly served: AsyncDisposable;
  /** Sends from a to b; what came back so far, and how it ended. */
  send(frame?: Frame, options?: { signal?: AbortSignal; reply?: Reply }): Sent;
}

export interface Sent {
  readonly replies: Frame[];
  /** `open`, `ok` or the code of the failure. */
  end: string;
}

export const peer = (id: string): Peer => ({ id, endpoint: `sim:${id}` });

export const echo: Receiver = async (frame, reply) => {
  await reply(frame);
};

/** Opens a node's transport. */
export function open(network: SimulatedNetwork, runtime: Runtime, id: string): Transport {
  return network.backend.open({ self: peer(id), runtime }).transport;
}

export async function pair(receiver: Receiver, options: NetworkOptions = {}, seed = 1): Promise<Pair> {
  const simulation = createSimulation({ seed });
  const network = simulation.network(options);
  const a = open(network, simulation.runtime("a"), "a");
  const b = open(network, simulation.runtime("b"), "b");
  const served = await b.serve(peer("b"), receiver);
  const send: Pair["send"] = (frame = "hello", { signal, reply } = {}) => {
    const sent: Sent = { replies: [], end: "open" };
    const take: Reply = (answer) => {
      sent.replies.push(answer);
      return reply?.(answer);
    };
    a.exchange(peer("b"), frame, take, { signal }).then(
      () => sent.end = "ok",
      (error: { code: string }) => sent.end = error.code,
    );
    return sent;
  };
  return { simulation, network, a, b, served, send };
}
