import { within } from "../../src/internal/within.ts";
import type { Backend, BackendHost, BackendParts } from "../../src/ports/backend.ts";
import type { Storage } from "../../src/ports/storage.ts";
import type { Peer, Transport } from "../../src/ports/transport.ts";
import { type OpenLink, openLink } from "./connection.ts";
import { healthOf, type NatsHealth } from "./connection_health.ts";
import type { NatsTarget } from "./connection_made.ts";
import type { NatsOptions } from "./connection_options.ts";
import type { NatsStatus } from "./connection_status.ts";
import { natsEvents } from "./events.ts";
import { type EventsCopy, natsEventsCopy } from "./events_copy.ts";
import type { EventsOrigin } from "./events_place.ts";
import type { Link } from "./link.ts";
import { natsQueue } from "./queue.ts";
import { natsRegistry } from "./registry.ts";
import { natsStore } from "./store.ts";
import { NatsTransport } from "./transport.ts";
import { checkSelf } from "./transport_subjects.ts";

export type { NatsTarget } from "./connection_made.ts";
export type { NatsHealth } from "./connection_health.ts";
export type {
  NatsAuth,
  NatsClient,
  NatsConnect,
  NatsConnectOptions,
  NatsOptions,
  NatsTls,
} from "./connection_options.ts";
export type { WebSocketMaker } from "./connection_socket.ts";
export type { CopyLag, EventsCopy } from "./events_copy.ts";
export type { EventsOrigin } from "./events_place.ts";
export type { NatsQueueOptions } from "./queue_options.ts";
export type { NatsStoreOptions } from "./store.ts";
export type { NatsStatus } from "./connection_status.ts";

/** A backend whose nodes talk over NATS, and what its server keeps for them. Disposing it closes the connection. */
export interface NatsBackend extends Backend, Storage, AsyncDisposable {
  /** How the connection is just now. */
  readonly status: NatsStatus;
  /** Hears of each change of the status; answers what ends that. */
  onStatus(listener: (status: NatsStatus) => void): () => void;
  /** Asks the server whether it is there, for `timeout` ms at most. Never rejects. */
  health(options?: NatsHealthOptions): Promise<NatsHealth>;
  /**
   * A copy of another cluster's events, which the servers keep up (a mirror between JetStream domains). All but `append`,
   * which is refused; `lag()` says how far it is behind. Rejects as `nats` does.
   */
  copyOfEvents(origin: EventsOrigin): Promise<EventsCopy>;
}

/** What {@linkcode NatsBackend.health} takes. */
export interface NatsHealthOptions {
  /** How long the server may take, in ms. @default 2000 */
  readonly timeout?: number;
}

const LIMIT = 8 * 1024 * 1024;
/** How long a node that begins or ends waits for the list of nodes, in ms. */
const LISTED = 2000;

/**
 * Nodes on NATS, by one connection. An endpoint is any name, the same on no two nodes. Where the server has JetStream,
 * it keeps entries, items and events too, and nodes find each other through it; where it has not, name them as `peers`.
 *
 * While no server is reached, calls fail with `UNAVAILABLE` at once, and it goes on looking for one.
 *
 * Rejects with a `CatgaError`: `VALIDATION` for options that cannot work, `UNAVAILABLE` when no server takes it in,
 * `CONFLICT` while the process has NATS connections of the other kind (WebSocket and TCP do not go together).
 *
 * @param target where servers are, or a connection of `@nats-io/nats-core`, which is left open
 *
 * @example
 * ```ts ignore
 * import { createMediator } from "@catga/catga";
 * import { joinCluster } from "@catga/catga/cluster";
 * import { nats } from "@catga/catga/nats";
 *
 * await using backend = await nats("ws://127.0.0.1:8080");
 * await using node = await joinCluster(createMediator({ handlers: [] }), { node: "a", endpoint: "a", backend });
 * ```
 */
export async function nats(target: NatsTarget, options: NatsOptions = {}): Promise<NatsBackend> {
  const { limit = LIMIT, peers = [] } = options;
  if (!(limit >= 1024)) throw new RangeError(`limit must be 1024 bytes or more, not ${limit}`);
  const link = await openLink(target, options);
  let kept: Kept;
  try {
    kept = await keep(link, options);
  } catch (thrown) {
    await link[Symbol.asyncDispose]();
    throw thrown;
  }
  const { storage } = kept;
  const known = peers.map((endpoint): Peer => ({ id: "*", endpoint }));
  const transports = new Set<Transport>();
  return {
    ...storage,
    name: "nats",
    get status() {
      return link.status;
    },
    onStatus: (listener) => link.onStatus(listener),
    copyOfEvents: (origin) => natsEventsCopy(link, origin),
    health: ({ timeout = 2000 } = {}) => healthOf(link, timeout),
    open: (host) => openNode(link, storage, host, known, limit, transports),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...transports].map((transport) => transport[Symbol.asyncDispose]()));
      await kept.close();
      await link[Symbol.asyncDispose]();
    },
  };
}

interface Kept {
  readonly storage: Storage;
  close(): Promise<void>;
}

/** Opens what the server keeps. */
async function keep(link: OpenLink, options: NatsOptions): Promise<Kept> {
  if (link.jetstream === undefined) {
    return {
      storage: { durability: "none" },
      close: () => Promise.resolve(),
    };
  }
  const opened: AsyncDisposable[] = [];
  const close = async (): Promise<void> => {
    for (const part of opened.splice(0).reverse()) await part[Symbol.asyncDispose]();
  };
  const and = <T extends AsyncDisposable>(part: T): T => {
    opened.push(part);
    return part;
  };
  try {
    const store = and(await natsStore(link, options.store));
    const queue = and(await natsQueue(link, options.queue));
    const events = and(await natsEvents(link));
    return { storage: { durability: "process", store, queue, events }, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function openNode(
  link: OpenLink,
  storage: Storage,
  host: BackendHost,
  known: readonly Peer[],
  limit: number,
  open: Set<Transport>,
): BackendParts {
  const { self, runtime: { clock } } = host;
  checkSelf(self);
  // The link as it is then, with the runtime of this node.
  const own: Link = Object.create(link, { runtime: { value: host.runtime } });
  const calls = new NatsTransport(own, limit);
  const registry = storage.store && natsRegistry(storage.store, host);
  const transport: Transport = {
    name: calls.name,
    serve: async (peer, receiver) => {
      if (registry !== undefined) await within(clock, registry.ready, LISTED);
      return await calls.serve(peer, receiver);
    },
    exchange: (to, frame, reply, options) => calls.exchange(to, frame, reply, options),
    [Symbol.asyncDispose]: async () => {
      open.delete(transport);
      const struck = Promise.resolve(registry?.[Symbol.asyncDispose]());
      await calls[Symbol.asyncDispose]();
      await within(clock, struck, LISTED);
    },
  };
  open.add(transport);
  const others = known.filter(({ endpoint }) => endpoint !== self.endpoint);
  return { ...storage, transport, seeds: () => [...others, ...registry?.seeds() ?? []] };
}
