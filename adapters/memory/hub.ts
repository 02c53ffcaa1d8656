import { CatgaError, systemFault } from "../../src/result.ts";
import type { Peer, Receiver } from "../../src/ports/transport.ts";
import type { Exchange } from "./exchange.ts";

/** How many nodes one hub takes. */
const NODES = 1024;

/** A node that takes frames just now. */
export interface Seat {
  readonly peer: Peer;
  readonly receiver: Receiver;
  /** The exchanges it is answering. */
  readonly answering: Set<Exchange>;
}

/** What the nodes of one process share: who takes frames under which endpoint. */
export class MemoryHub {
  readonly #seats: Map<string, Seat> = new Map();

  /** Why a node cannot take frames here; `undefined` if it can. */
  refusal({ endpoint }: Peer): string | undefined {
    const other = this.#seats.get(endpoint)?.peer;
    if (other !== undefined) return `the endpoint "${endpoint}" is taken by the node "${other.id}"`;
    return this.#seats.size >= NODES ? `the hub has ${NODES} nodes, as many as it takes` : undefined;
  }

  /** Who takes frames under an endpoint. */
  at(endpoint: string): Seat | undefined {
    return this.#seats.get(endpoint);
  }

  /** All nodes but one. */
  others(self: Peer): readonly Peer[] {
    return [...this.#seats.values()].map((seat) => seat.peer).filter((peer) =>
      peer.endpoint !== self.endpoint
    );
  }

  /** Hands the frames for a node to a receiver. Throws `CONFLICT` when the endpoint is taken. */
  sit(peer: Peer, receiver: Receiver): Seat {
    const refused = this.refusal(peer);
    if (refused !== undefined) {
      throw new CatgaError(systemFault("CONFLICT", `Cannot serve "${peer.id}": ${refused}`));
    }
    const seat: Seat = { peer, receiver, answering: new Set() };
    this.#seats.set(peer.endpoint, seat);
    return seat;
  }

  /** Stops handing frames over; exchanges under way break off. */
  leave(seat: Seat): void {
    if (this.#seats.get(seat.peer.endpoint) === seat) this.#seats.delete(seat.peer.endpoint);
    const message = `"${seat.peer.id}" went away before it had answered`;
    for (const exchange of [...seat.answering]) exchange.fail(systemFault("TRANSPORT", message));
  }
}
