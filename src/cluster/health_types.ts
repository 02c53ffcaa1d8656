/** One node, for health checks and people. */
export interface NodeHealth {
  /** Its name. */
  readonly nodeId: string;
  /** Where it is reached. */
  readonly endpoint: string;
  /** ISO 8601. */
  readonly lastSeen: string;
  /** Calls under way there at its last heartbeat. */
  readonly load: number;
  /** Whether it can be reached and has not left. */
  readonly isOnline: boolean;
}

/** What a node knows of the cluster, for health checks and people. */
export interface ClusterHealth {
  /** The node that was asked. */
  readonly currentNode: NodeHealth;
  /** Nodes known. */
  readonly totalNodes: number;
  /** Nodes that are online. */
  readonly onlineNodes: number;
  /** All nodes known. */
  readonly nodes: readonly NodeHealth[];
}
