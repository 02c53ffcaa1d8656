import type { Storage } from "./storage.ts";
import type { Peer, Transport } from "./transport.ts";
import type { Runtime } from "./runtime.ts";

/** What a backend is told of the node that uses it. */
export interface BackendHost {
  /** The node itself. */
  readonly self: Peer;
  /** The node's door to the outside. */
  readonly runtime: Runtime;
}

/** What a backend gives to one node. */
export interface BackendParts extends Storage {
  /** Carries its frames. */
  readonly transport: Transport;
  /** Nodes to ask for the others: endpoints known beforehand, or all that a registry lists just now. */
  seeds(): readonly Peer[];
}

/** Everything outside the process that a node stands on. Changing it is one line. */
export interface Backend {
  /** What the backend is called in messages. */
  readonly name: string;
  /** Makes the parts for one node. Throws a `CatgaError` for an endpoint the backend refuses. */
  open(host: BackendHost): BackendParts;
}
