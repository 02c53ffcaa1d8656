import type { Peer } from "../ports/transport.ts";
import type { Link } from "./link.ts";
import { Outbound } from "./outbound.ts";

/** The ways to the other nodes, each made when it is first taken. */
export class Ways {
  readonly #link: Link;
  readonly #outbound: Map<string, Outbound> = new Map();

  constructor(link: Link) {
    this.#link = link;
  }

  /** The way to a node. */
  to({ id, endpoint }: Peer): Outbound {
    let outbound = this.#outbound.get(id);
    if (outbound === undefined || outbound.peer.endpoint !== endpoint) {
      outbound = new Outbound(this.#link, { id, endpoint });
      this.#outbound.set(id, outbound);
    }
    return outbound;
  }

  /** Whether the budget of a node allows that a call which failed there is sent again. */
  mayRetry(id: string, now: number): boolean {
    return this.#outbound.get(id)?.budget.take(now) ?? true;
  }

  /** A node is gone: what it still has of this one's calls fails when it was declared dead. */
  forget(id: string, dead: boolean): void {
    const outbound = this.#outbound.get(id);
    this.#outbound.delete(id);
    outbound?.close();
    if (dead) outbound?.lost();
  }

  /** This node has left. */
  close(): void {
    for (const outbound of this.#outbound.values()) outbound.close();
  }
}
