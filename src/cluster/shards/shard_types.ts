/** How the shards of a node's contracts find their owners. */
export interface ShardOptions {
  /**
   * How long nodes have to be the same before shards move because of others, in ms; a cluster that starts or a node
   * that comes back moves them once instead of many times. @default one heartbeat
   */
  readonly settle?: number;
  /** How many shards a node gives away at most in each heartbeat while it stays; where it holds leases. @default 16 */
  readonly moves?: number;
}

/** A shard as a node knows it. */
export interface ShardState {
  /** The group it belongs to. */
  readonly group: string;
  /** Its number in the group, from 0. */
  readonly index: number;
  /** The node that owns it, as far as this one has heard; `undefined` while none does. */
  readonly owner: string | undefined;
  /** The owner's fencing token; `undefined` for a soft one. */
  readonly token: number | undefined;
  /** Whether it is owned by the view alone, as on a backend without a store: while views differ two nodes may own it. */
  readonly soft: boolean;
  /** Whether this node owns it, or is about to give it away and only finishes what it began. */
  readonly here: "owned" | "leaving" | undefined;
}

/** A shard has another owner. */
export interface ShardMovedEvent {
  /** Tells it from other events. */
  readonly type: "shardMoved";
  /** The group it belongs to. */
  readonly group: string;
  /** Its number in the group, from 0. */
  readonly index: number;
  /** The node that owned it before. */
  readonly from: string;
  /** The node that owns it now. */
  readonly to: string;
  /** The new owner's fencing token; `undefined` for a soft one. */
  readonly token: number | undefined;
}
