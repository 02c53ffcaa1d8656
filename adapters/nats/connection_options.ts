import type { Runtime } from "../../src/ports/runtime.ts";
import type { NatsQueueOptions } from "./queue_options.ts";
import type { NatsStoreOptions } from "./store.ts";
import type { WebSocketMaker } from "./connection_socket.ts";

/** What a connection to NATS takes, whatever carries it. */
export interface NatsOptions {
  /**
   * The cluster's name: nodes and what is kept under another name are never seen. 1 to 32 letters, digits and hyphens.
   * @default "main"
   */
  readonly cluster?: string;
  /** What the server calls this connection. @default "catga" */
  readonly name?: string;
  /** Who comes in. Goes before what stands in a URL. */
  readonly user?: string;
  /** Their password. */
  readonly pass?: string;
  /** A token to come in with. */
  readonly token?: string;
  /** The seed of an nkey to come in with (`SU…`). */
  readonly nkey?: string;
  /** The text of a credentials file, with its JWT and seed. */
  readonly credentials?: string;
  /** How TCP is encrypted. WebSockets are by `wss://`, with the platform's certificates. */
  readonly tls?: NatsTls;
  /** How often to try to reach a server again before the connection is closed for good; -1 for ever. @default -1 */
  readonly maxReconnectAttempts?: number;
  /** How long to wait between two tries with a server, in ms, and up to a half more by chance. @default 500 */
  readonly reconnectWait?: number;
  /** How often to see whether the server is still there, in ms; after two that miss it connects anew. @default 2000 */
  readonly pingInterval?: number;
  /** How long one try may take, in ms. @default 5000 */
  readonly connectTimeout?: number;
  /** Makes WebSockets. @default the platform's own */
  readonly webSocket?: WebSocketMaker;
  /** Connects; by it runtimes bring their own transport. @default WebSockets */
  readonly connect?: NatsConnect;
  /** Endpoints of nodes to ask for the others, where the server keeps no list of them. @default [] */
  readonly peers?: readonly string[];
  /** Bytes in one frame, there and back; larger ones than the server takes go in pieces. @default 8388608 */
  readonly limit?: number;
  /** Whether to use what the server keeps, where it has JetStream. @default true */
  readonly storage?: boolean;
  /** Limits of the store. */
  readonly store?: NatsStoreOptions;
  /** Limits of the queue. */
  readonly queue?: NatsQueueOptions;
  /** How many servers keep each message. @default 1 */
  readonly replicas?: number;
  /** Time, chance and the log. @default systemRuntime() */
  readonly runtime?: Runtime;
}

/** Certificates in PEM, as text or as a path of a file. */
export interface NatsTls {
  /** Encrypts before the server has said anything. */
  readonly handshakeFirst?: boolean;
  /** Its own certificate. */
  readonly cert?: string;
  /** The file with it. */
  readonly certFile?: string;
  /** The key of its own certificate. */
  readonly key?: string;
  /** The file with that. */
  readonly keyFile?: string;
  /** Whose certificates it trusts. */
  readonly ca?: string;
  /** The file with them. */
  readonly caFile?: string;
}

/** A connection of `@nats-io/nats-core`. */
export interface NatsClient {
  /** Closes it. */
  close(): Promise<void>;
  /** Whether it is closed for good. */
  isClosed(): boolean;
  /** Settles when it is closed for good, with why. */
  closed(): Promise<void | Error>;
}

/** The function `connect` of `@nats-io/transport-node`, `@nats-io/transport-deno` or one like them. */
export type NatsConnect = (options: NatsConnectOptions) => Promise<NatsClient>;

/** What somebody comes in with. */
export type NatsAuth =
  | void
  | { auth_token: string }
  | { user: string; pass?: string }
  | { nkey: string; sig: string }
  | { jwt: string; nkey?: string; sig?: string };

/** What a {@linkcode NatsConnect} is given: a part of `ConnectionOptions`, by whose names it goes. */
export interface NatsConnectOptions {
  /** Where servers are. */
  servers: string[];
  /** What they call the connection. */
  name: string;
  /** Answers a server that asks who comes in. */
  authenticator?: (nonce?: string) => NatsAuth;
  /** How it is encrypted. */
  tls?: NatsTls;
  /** How often to try a server again; -1 for ever. */
  maxReconnectAttempts: number;
  /** How long to wait before the next try, in ms. */
  reconnectDelayHandler: () => number;
  /** How often to see whether the server is there, in ms. */
  pingInterval: number;
  /** How often it may miss that. */
  maxPingOut: number;
  /** How long one try may take, in ms. */
  timeout: number;
  /** Whether to try again also when it was not let in. */
  ignoreAuthErrorAbort: boolean;
  /** Whether to leave out stack traces, which cost more than a request. */
  noAsyncTraces: boolean;
}
