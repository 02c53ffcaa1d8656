/**
 * Nodes on NATS: calls over core NATS, all of one turn to one node in one message; entries, items and events kept by
 * JetStream, on servers from 2.9 on. Here by WebSocket, which every runtime has; `@catga/catga/nats/node` and
 * `@catga/catga/nats/deno` add TCP. A process uses one of both.
 *
 * It comes back by itself, however long a server was away, and finds a connection that is dead without a word in
 * seconds. Meanwhile calls fail with `UNAVAILABLE` at once; nothing piles up.
 *
 * @example
 * ```ts ignore
 * import { createMediator } from "@catga/catga";
 * import { joinCluster } from "@catga/catga/cluster";
 * import { nats } from "@catga/catga/nats";
 *
 * await using backend = await nats("ws://127.0.0.1:8080", { user: "app", pass: "secret" });
 * await using node = await joinCluster(createMediator({ handlers: [] }), { node: "a", endpoint: "a", backend });
 * console.log(backend.status, await backend.health());
 * ```
 *
 * @module
 */
export {
  type CopyLag,
  type EventsCopy,
  type EventsOrigin,
  nats,
  type NatsAuth,
  type NatsBackend,
  type NatsClient,
  type NatsConnect,
  type NatsConnectOptions,
  type NatsHealth,
  type NatsHealthOptions,
  type NatsOptions,
  type NatsQueueOptions,
  type NatsStatus,
  type NatsStoreOptions,
  type NatsTarget,
  type NatsTls,
  type WebSocketMaker,
} from "./nats.ts";
