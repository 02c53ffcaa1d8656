import type { NatsConnection } from "@nats-io/nats-core";
import type { Runtime } from "../../src/ports/runtime.ts";
import { authenticatorOf } from "./connection_auth.ts";
import { cannotConnect } from "./connection_fault.ts";
import { type ConnectionKind, holdKind } from "./connection_kind.ts";
import type { NatsClient, NatsConnectOptions, NatsOptions } from "./connection_options.ts";
import { readServers, type Servers } from "./connection_servers.ts";
import { webSocketConnect } from "./connection_web_socket.ts";

/** What a connection is made of: servers, or one that is there already. */
export type NatsTarget = string | readonly string[] | { readonly connection: NatsClient };

/** A connection, and whose it is. */
export interface Connected {
  readonly connection: NatsConnection;
  /** Whether it was made here, and is closed here. */
  readonly mine: boolean;
  readonly release: () => void;
}

/** Connects, or takes a connection that is there. */
export async function connected(
  target: NatsTarget,
  options: NatsOptions,
  runtime: Runtime,
): Promise<Connected> {
  if (typeof target === "object" && "connection" in target) {
    const connection = target.connection as NatsConnection;
    if (connection.isClosed()) throw cannotConnect("UNAVAILABLE", "the connection given is closed");
    return { connection, mine: false, release: holdKind(kindOf(connection)) };
  }
  const servers = readServers(target);
  const connect = options.connect ?? webSocketConnect(servers.kind, options, runtime);
  const settings = settingsOf(servers, options, runtime);
  const release = holdKind(servers.kind);
  try {
    const connection = (await connect(settings)) as NatsConnection;
    // The client forgets servers that were away when it began.
    if (connection.getServers().length < servers.urls.length) connection.setServers([...servers.urls]);
    return { connection, mine: true, release };
  } catch (thrown) {
    release();
    const why = thrown instanceof Error && thrown.message !== "" ? thrown.message : "nobody answers there";
    throw cannotConnect("UNAVAILABLE", `${servers.urls.join(", ")}: ${why}`, thrown);
  }
}

function settingsOf(
  servers: Servers,
  options: NatsOptions,
  runtime: Runtime,
): NatsConnectOptions {
  const { name = "catga", maxReconnectAttempts = -1, reconnectWait = 500 } = options;
  const { pingInterval = 2000, connectTimeout = 5000, tls, user = servers.user, pass = servers.pass } =
    options;
  for (const [what, ms] of Object.entries({ reconnectWait, pingInterval, connectTimeout })) {
    if (!(ms >= 1 && ms < 2 ** 31)) throw new RangeError(`${what} must be 1 ms or more, not ${ms}`);
  }
  const other = options.token ?? options.nkey ?? options.credentials;
  const authenticator = authenticatorOf(
    other === undefined && user !== undefined ? { user, ...(pass === undefined ? {} : { pass }) } : options,
  );
  return {
    servers: [...servers.urls],
    name,
    maxReconnectAttempts,
    reconnectDelayHandler: () => reconnectWait * (1 + runtime.random.u32() / 2 ** 33),
    pingInterval,
    maxPingOut: 2,
    timeout: connectTimeout,
    // Whoever is let in again after a while must not have been shut out for good.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(tls !== undefined || (servers.tls && servers.kind === "TCP") ? { tls: tls ?? {} } : {}),
  };
}

/** By which kind a connection comes back is known by its transport alone. */
function kindOf(connection: NatsConnection): ConnectionKind {
  const { protocol } = connection as unknown as { protocol?: { transport?: { lang?: string } } };
  return protocol?.transport?.lang === "nats.ws" ? "WebSocket" : "TCP";
}
