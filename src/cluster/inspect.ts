import type { QueryCacheStats } from "./cache_types.ts";
import type { GuardedNode } from "./guard_types.ts";
import type { HotKey } from "./hot_keys.ts";
import type { Leader } from "./leader.ts";
import type { ConsumerStats } from "../durable/consumer.ts";
import { createRing } from "./ring.ts";
import type { ShardState } from "./shards/shard_types.ts";
import type { ClusterView, Member, NodeStats } from "./types.ts";

/** How this node's own calls to another go, and whether it keeps any from it. */
export interface TargetState extends GuardedNode {
  /** Calls of this node under way there. */
  readonly inFlight: number;
}

/** How much of all keys a node gets by consistent hashing, were it to serve them. */
export interface RingShare {
  /** The node's name. */
  readonly node: string;
  /** From 0 to 1. */
  readonly share: number;
}

/** All that a node knows, as plain data. */
export interface Inspection {
  /** The node as the others see it. */
  readonly self: Member;
  /** The cluster as it sees it. */
  readonly view: ClusterView;
  /** Who leads, as it sees it. */
  readonly leader: Leader | undefined;
  /** What it has counted. */
  readonly stats: NodeStats;
  /** Where its calls go. */
  readonly targets: readonly TargetState[];
  /** How keys fall to the nodes that are ready. */
  readonly ring: readonly RingShare[];
  /** The shards of the contracts that it serves or sends. */
  readonly shards: readonly ShardState[];
  /** What its handlers of reliable events have heard. */
  readonly deliveries: readonly ConsumerStats[];
  /** What it keeps of the answers of queries. */
  readonly cache: QueryCacheStats;
  /** Keys that take more than their share of its calls just now, the most called first. */
  readonly hotKeys: readonly HotKey[];
}

/** Where a message would go, and why. */
export interface Explanation {
  /** The message's name. */
  readonly type: string;
  /** What the contract's `key` gives for its body. */
  readonly key: string | undefined;
  /** Who said which router is asked. */
  readonly routedBy: "send" | "contract" | "node" | "shard";
  /** Its shard, where its contract has any; the owner of that is where it goes. */
  readonly shard: ShardState | undefined;
  /** Where it would go just now; `undefined` if nowhere. */
  readonly node: string | undefined;
  /** The nodes that it could go to. */
  readonly candidates: readonly string[];
  /** The nodes that serve it and cannot take it, and why. */
  readonly leftOut: readonly { readonly node: string; readonly why: string }[];
}

/** How keys fall to the nodes of a view that are ready. */
export function ringOf(members: readonly Member[]): RingShare[] {
  const ready = members.filter(({ status, kind }) => status === "ready" && kind !== "service");
  return [...createRing(ready).shares()].map(([node, share]) => ({ node, share }));
}
