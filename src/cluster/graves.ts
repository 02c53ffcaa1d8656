import type { Peer } from "../ports/transport.ts";

interface Gone {
  readonly incarnation: number;
  readonly faulted: boolean;
  /** Where it was, if it was known. */
  readonly endpoint: string | undefined;
}

/** The nodes whose last life is over, the latest so many of them. */
export class Graves {
  readonly #most: number;
  readonly #gone: Map<string, Gone> = new Map();

  constructor(most: number) {
    this.#most = most;
  }

  bury(id: string, gone: Gone): void {
    this.#gone.delete(id);
    this.#gone.set(id, gone);
    if (this.#gone.size > this.#most) this.#gone.delete(this.#gone.keys().next().value!);
  }

  /** Which life of a node is over, with all before it; -1 if none is known to be. */
  over(id: string): number {
    return this.#gone.get(id)?.incarnation ?? -1;
  }

  /** A node has begun another life; tells whether the last one ended otherwise than by leaving. */
  rise(id: string): boolean {
    const faulted = this.#gone.get(id)?.faulted === true;
    this.#gone.delete(id);
    return faulted;
  }

  /** What is said of a node that is gone, as an item to send; `undefined` for one that is not. */
  epitaph(id: string): readonly unknown[] | undefined {
    const gone = this.#gone.get(id);
    return gone === undefined ? undefined : ["gone", id, gone.incarnation, gone.faulted];
  }

  /** Those that were declared dead: one that was only cut off learns of it when it is spoken to. */
  lost(): readonly Peer[] {
    const peers: Peer[] = [];
    for (const [id, { faulted, endpoint }] of this.#gone) {
      if (faulted && endpoint !== undefined) peers.push({ id, endpoint });
    }
    return peers;
  }
}
