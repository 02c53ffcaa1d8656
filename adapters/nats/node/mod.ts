/**
 * Nodes on NATS by TCP, on Node and Bun: `nats://` and `tls://` through the package `@nats-io/transport-node`; `ws://` and
 * `wss://` as in `@catga/catga/nats`, whose documentation holds here too.
 *
 * @example
 * ```ts ignore
 * import { nats } from "@catga/catga/nats/node";
 *
 * await using backend = await nats("nats://127.0.0.1:4222");
 * console.log(await backend.health());
 * ```
 *
 * @module
 */
import { connect } from "@nats-io/transport-node";
import { nats as natsBy, type NatsBackend, type NatsOptions, type NatsTarget } from "../nats.ts";
import { isTcp } from "../connection_servers.ts";

export type * from "../nats.ts";

/** Connects to NATS by TCP or WebSocket, as the URLs say; for the rest as `nats` of `@catga/catga/nats`. */
export function nats(target: NatsTarget, options: NatsOptions = {}): Promise<NatsBackend> {
  return natsBy(target, isTcp(target) ? { connect, ...options } : options);
}
