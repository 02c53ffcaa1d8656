import type { Peer, Transport } from "./transport.ts";
import type { Runtime } from "./runtime.ts";

/** What survives: nothing, the end of a process, or the loss of power. */
export type Durability = "none" | "process" | "power";

/** What a backend is told of the node that uses it. */
export interface BackendHost {
  readonly self: Peer;
  readonly runtime: Runtime;
}

/** What a backend gives to one node. */
export interface BackendParts {
  readonly transport: Transport;
  /** Nodes to ask for the others: endpoints known beforehand, or all that a registry lists just now. */
  seeds(): readonly Peer[];
}

/** Everything outside the process that a node stands on. Changing it is one line. */
export interface Backend {
  readonly name: string;
  readonly durability: Durability;
  /** Makes the parts for one node. Throws a `CatgaError` for an endpoint the backend refuses. */
  open(host: BackendHost): BackendParts;
}
