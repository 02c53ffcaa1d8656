import { type SystemFault, systemFault } from "../../result.ts";
import type { Clock } from "../../ports/runtime.ts";
import type { Membership } from "../membership.ts";
import type { HeldShard } from "./held_shard.ts";
import type { ShardGroup, ShardOwner } from "./shard_group.ts";

/** What decides who owns shards needs of its node. */
export interface OwnershipHost {
  readonly clock: Clock;
  readonly membership: Membership;
  /** How long nodes have to be the same before shards move, in ms. */
  readonly settle: number;
  /** How long a shard that is given away waits for what is handled because of it, in ms. */
  readonly drain: number;
  /** How many shards are given away in a heartbeat. */
  readonly moves: number;
  /** All groups that the node serves or sends to. */
  readonly groups: ReadonlyMap<string, ShardGroup>;
  /** Tells all nodes whether this one can own shards. */
  fit(fit: boolean): void;
  /** A shard has an owner, or has none. */
  own(group: ShardGroup, index: number, owner: ShardOwner | undefined): void;
}

/** What decides who owns the shards of a cluster. */
export interface Ownership {
  /** Whether it goes by the view alone. */
  readonly soft: boolean;
  /** Whether what this node holds is still its own right now. */
  holds(): boolean;
  /** The nodes, or the groups that the node knows, may have changed. */
  look(): void;
  /** A heartbeat has passed. */
  tick(): void;
  /** Gives everything away; settles when nothing is handled any longer, or the time for that is over. */
  close(): Promise<void>;
}

/** What handlers are cancelled with when their shard is no longer this node's. */
export function movedFault({ group, index }: HeldShard): SystemFault {
  return systemFault("CANCELLED", `Shard ${index} of "${group}" is no longer this node's`);
}

/** Lets go of a shard, and tells what is still handled because of it. */
export function drop(group: ShardGroup, shard: HeldShard): void {
  if (group.held.get(shard.index) === shard) group.held.delete(shard.index);
  shard.cancel(movedFault(shard));
}
