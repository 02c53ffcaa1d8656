import { hash32 } from "../../internal/hash.ts";
import type { HeldShard } from "./held_shard.ts";

/** Who owns a shard. */
export interface ShardOwner {
  readonly id: string;
  readonly token: number | undefined;
}

/** The shards that some contracts have in common, as one node knows them. */
export class ShardGroup {
  readonly name: string;
  readonly count: number;
  /** The contracts that are known to belong to it. */
  readonly types: Set<string> = new Set();
  /** Whether this node serves any of them. */
  served: boolean = false;
  /** Who owns each of them. */
  readonly owners: (ShardOwner | undefined)[];
  /** Those that this node owns, by number. */
  readonly held: Map<number, HeldShard> = new Map();
  /** Who owned each of them last. */
  readonly #last: (string | undefined)[];
  /** Who waits for an owner, and of which of them. */
  readonly #waiting: Map<() => void, number> = new Map();

  constructor(name: string, count: number) {
    this.name = name;
    this.count = count;
    this.owners = new Array<undefined>(count).fill(undefined);
    this.#last = new Array<undefined>(count).fill(undefined);
  }

  /** The number of the shard that a key belongs to, on all runtimes. Throws a `TypeError` for what is no text. */
  indexOf(key: string): number {
    if (typeof key !== "string") {
      throw new TypeError(
        `The key of a shard of "${this.name}" is of type ${typeof key}, but must be a string`,
      );
    }
    return hash32(key) % this.count;
  }

  /** Takes note of an owner. Answers the name of the one before, if it was another. */
  own(index: number, owner: ShardOwner | undefined): string | undefined {
    const from = this.#last[index];
    this.owners[index] = owner;
    if (owner === undefined) return undefined;
    this.#last[index] = owner.id;
    for (const [wake, waited] of this.#waiting) if (waited === index) wake();
    return from === owner.id ? undefined : from;
  }

  /** How many wait for one of them to get an owner. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Calls a function whenever a shard gets an owner; answers one that calls that off. */
  onOwned(index: number, run: () => void): () => void {
    this.#waiting.set(run, index);
    return () => void this.#waiting.delete(run);
  }
}
