import type { ClusterHealth, NodeHealth } from "./health_types.ts";
import type { Member } from "./types.ts";

/** What a health check shows of a view. */
export function healthOf(self: string, members: readonly Member[]): ClusterHealth {
  const nodes = members.map(nodeHealthOf);
  return {
    currentNode: nodes.find((node) => node.nodeId === self)!,
    totalNodes: nodes.length,
    onlineNodes: nodes.filter((node) => node.isOnline).length,
    nodes,
  };
}

function nodeHealthOf({ id, endpoint, lastSeen, load, reachable, status }: Member): NodeHealth {
  const isOnline = reachable && status !== "left";
  return { nodeId: id, endpoint, lastSeen: new Date(lastSeen).toISOString(), load, isOnline };
}
