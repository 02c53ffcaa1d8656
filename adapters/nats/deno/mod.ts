/**
 * Nodes on NATS by TCP, on Deno: `nats://` and `tls://` through `jsr:@nats-io/transport-deno`, which your `deno.json` has
 * to map; `ws://` and `wss://` as in `@catga/catga/nats`, whose documentation holds here too.
 *
 * @example
 * ```ts ignore
 * import { nats } from "@catga/catga/nats/deno";
 *
 * await using backend = await nats("nats://127.0.0.1:4222");
 * console.log(await backend.health());
 * ```
 *
 * @module
 */
import { nats as natsBy, type NatsBackend, type NatsOptions, type NatsTarget } from "../nats.ts";
import { isTcp } from "../connection_servers.ts";

export type * from "../nats.ts";

/** Connects to NATS by TCP or WebSocket, as the URLs say; for the rest as `nats` of `@catga/catga/nats`. */
export async function nats(target: NatsTarget, options: NatsOptions = {}): Promise<NatsBackend> {
  if (!isTcp(target) || options.connect !== undefined) return await natsBy(target, options);
  // Not before it is needed: the package is on JSR alone.
  const { connect } = await import("@nats-io/transport-deno");
  return await natsBy(target, { ...options, connect });
}
