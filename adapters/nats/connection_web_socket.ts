import { wsconnect } from "@nats-io/nats-core";
import type { Runtime } from "../../src/ports/runtime.ts";
import { type DenoHost, DenoSocket } from "./connection_deno_socket.ts";
import { cannotConnect } from "./connection_fault.ts";
import type { ConnectionKind } from "./connection_kind.ts";
import type { NatsConnect, NatsOptions } from "./connection_options.ts";
import { ClosingSocket, type WebSocketMaker } from "./connection_socket.ts";

/** Connects by WebSocket. Throws `VALIDATION` where that cannot be. */
export function webSocketConnect(kind: ConnectionKind, options: NatsOptions, runtime: Runtime): NatsConnect {
  if (kind === "TCP") {
    throw cannotConnect(
      "VALIDATION",
      "nats:// and tls:// need TCP. Import nats from @catga/catga/nats/node (Node, Bun) or @catga/catga/nats/deno, " +
        "or use ws:// and wss://",
    );
  }
  if (options.tls !== undefined) {
    throw cannotConnect(
      "VALIDATION",
      "tls does not go with ws:// and wss://: use the platform's certificates",
    );
  }
  const open = socketsOf(options.webSocket, runtime);
  if (open === undefined) {
    throw cannotConnect(
      "VALIDATION",
      "this runtime has no WebSocket. Give one as webSocket, such as that of the package ws",
    );
  }
  return (settings) =>
    wsconnect({
      ...settings,
      wsFactory: (url) =>
        Promise.resolve({
          socket: new ClosingSocket(open(url), runtime.clock) as unknown as WebSocket,
          encrypted: url.startsWith("wss:"),
        }),
    });
}

/** What opens WebSockets here, if anything does. */
function socketsOf(
  given: WebSocketMaker | undefined,
  runtime: Runtime,
): ((url: string) => object) | undefined {
  const here = globalThis as { readonly WebSocket?: WebSocketMaker; readonly Deno?: DenoHost };
  if (given === undefined && here.Deno !== undefined) {
    const host = here.Deno;
    return (url) => new DenoSocket(host, runtime.random, url);
  }
  const make = given ?? here.WebSocket;
  return make && ((url) => new make(url));
}
