import type { Known } from "./known.ts";
import type { Membership } from "./membership.ts";

/** Who leads the cluster, as one node sees it. */
export interface Leader {
  /** The node's name. */
  readonly id: string;
  /** Whether it is the node that was asked. */
  readonly local: boolean;
  /**
   * Whether it leads by the view alone, as on a backend that keeps nothing: while views differ there may be two. A
   * leader that is not soft holds a lease, and no two hold it at once.
   */
  readonly soft: boolean;
  /** Grows with each leader, to be checked by what it writes to; `undefined` for a soft one. */
  readonly term: number | undefined;
}

/** What tells a node who leads. */
export interface Leadership extends AsyncDisposable {
  /** Who leads just now, if anybody does. */
  readonly leader: Leader | undefined;
  /** The view may have changed. */
  look(): void;
  /** Lets another node lead, if this one does. */
  resign(): Promise<void>;
}

/** A leader by the view: of the processes that are ready and can be reached the one that has stood longest. */
export class SoftLeadership implements Leadership {
  readonly #membership: Membership;
  readonly #wall: () => number;
  readonly #changed: (leader: Leader | undefined) => void;
  #leader: Leader | undefined;

  constructor(membership: Membership, wall: () => number, changed: (leader: Leader | undefined) => void) {
    this.#membership = membership;
    this.#wall = wall;
    this.#changed = changed;
  }

  get leader(): Leader | undefined {
    return this.#leader;
  }

  look(): void {
    const first = this.#membership.everyone().filter(mayLead).reduce<Known | undefined>(senior, undefined);
    if (first?.record.id === this.#leader?.id) return;
    this.#leader = first && { id: first.record.id, local: first.local, soft: true, term: undefined };
    this.#changed(this.#leader);
  }

  resign(): Promise<void> {
    const { standing } = this.#membership.self;
    this.#membership.say({ standing: Math.max(Math.floor(this.#wall()), standing + 1) });
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function mayLead({ record, suspected }: Known): boolean {
  return record.status === "ready" && record.kind === "process" && suspected === undefined;
}

function senior(first: Known | undefined, next: Known): Known {
  if (first === undefined) return next;
  const [a, b] = [first.record, next.record];
  return a.standing < b.standing || (a.standing === b.standing && a.id < b.id) ? first : next;
}
