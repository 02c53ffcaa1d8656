import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import type { Runtime } from "../../src/ports/runtime.ts";

/** What all parts of the backend stand on: one connection, and what its server can do. */
export interface Link {
  readonly connection: NatsConnection;
  readonly runtime: Runtime;
  /** The cluster's name, as a token: subjects begin with `catga.<name>.`, streams with `CATGA_<name>_`. */
  readonly name: string;
  /** What the server keeps; `undefined` where it has no JetStream. */
  readonly jetstream: JetStreamLink | undefined;
}

/** The part of a server that keeps things. */
export interface JetStreamLink {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  /** How many servers keep each message. */
  readonly replicas: number;
}
