import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { Msg, MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import type { Runtime } from "../../src/ports/runtime.ts";
import type { CatgaError } from "../../src/result.ts";

/** What all parts of the backend stand on: one connection, and what its server can do. */
export interface Link {
  readonly connection: NatsConnection;
  readonly runtime: Runtime;
  /** The cluster's name, as a token: subjects begin with `catga.<name>.`, streams with `CATGA_<name>_`. */
  readonly name: string;
  /** What the server keeps; `undefined` where it has no JetStream. */
  readonly jetstream: JetStreamLink | undefined;
  /** Whether the server is reached just now. While it is not, publish nothing: it would pile up without a limit. */
  readonly up: boolean;
  /** Runs a function each time the server is reached again; answers what ends that. */
  onReconnect(run: () => void): () => void;
  /** Runs a function each time the server is lost, before anything else can be sent; answers what ends that. */
  onAway(run: () => void): () => void;
  /** Runs a function with each subject to which the server let nothing be sent; answers what ends that. */
  onForbidden(run: (subject: string) => void): () => void;
  /**
   * Asks by the connection's one inbox. Rejects with a `CatgaError`: `UNAVAILABLE` when nobody was asked (away, nobody
   * listens there, it may not be asked, too many wait), `TRANSPORT` when the connection was lost or no answer came in time, `CANCELLED`.
   */
  ask(subject: string, payload?: Uint8Array | string, options?: AskOptions): Promise<Msg>;
  /** The same for many: what comes of it is said to an asker, once, perhaps before this returns. */
  askFor(asker: Asker, subject: string, payload?: Uint8Array | string, options?: AskOptions): void;
}

/** Whoever hears what comes of something asked. */
export interface Asker {
  answered(message: Msg): void;
  failed(error: CatgaError): void;
}

/** What {@linkcode Link.ask} takes. */
export interface AskOptions {
  /** How long to wait for the answer, in ms. @default 5000 */
  readonly timeout?: number | undefined;
  readonly headers?: MsgHdrs | undefined;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** The part of a server that keeps things. */
export interface JetStreamLink {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  /** How many servers keep each message. */
  readonly replicas: number;
}
