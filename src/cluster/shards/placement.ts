import type { Known } from "../known.ts";
import { rendezvous } from "../rendezvous.ts";
import type { ShardGroup } from "./shard_group.ts";

/** Where the shards of a group should be, by the nodes of one view. */
export interface Placement {
  /** The same wherever the same nodes can own them. */
  readonly signature: string;
  /** How many nodes can own them. */
  readonly nodes: number;
  /** The name of the node that each belongs to; `undefined` where there is none. */
  readonly owners: readonly (string | undefined)[];
}

/** Where shards should be while nobody is there. */
export const NOWHERE: Placement = { signature: "", nodes: 0, owners: [] };

/**
 * Places shards by weighted rendezvous hashing among the processes that are ready, can own shards and serve the group:
 * a node more or less moves only what that node gets or had.
 *
 * @param before answered again where nothing is different
 */
export function placementOf(group: ShardGroup, everyone: readonly Known[], before: Placement): Placement {
  const nodes = everyone.map(({ record }) => record).filter(({ status, kind, fit, weight, contracts }) =>
    status === "ready" && kind === "process" && fit && weight > 0 &&
    contracts.some((type) => group.types.has(type))
  );
  const signature = nodes.map(({ id, weight }) => `${id}*${weight}`).join(" ");
  if (signature === before.signature && before.owners.length === group.count) return before;
  const { owner } = rendezvous(nodes);
  const owners = Array.from({ length: group.count }, (_, index) => owner(`${group.name}/${index}`));
  return { signature, nodes: nodes.length, owners };
}
