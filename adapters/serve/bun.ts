import type { Listen } from "./listener.ts";

/** The part of Bun's server that is used. */
interface BunServer {
  readonly port: number;
  readonly pendingRequests: number;
  stop(closeConnections?: boolean): Promise<void>;
}

/** The part of `Bun` that is used. */
export interface BunLike {
  serve(options: {
    readonly port: number;
    readonly hostname: string;
    readonly idleTimeout: number;
    readonly development: boolean;
    readonly reusePort: boolean;
    readonly fetch: (request: Request) => Response | Promise<Response>;
    readonly error: (error: unknown) => Response;
  }): BunServer;
}

const POLL = 5;

/** Listens by `Bun.serve`. Silent streams stay open: its idle timeout would cut server-sent events after 10 s. */
export function bunListen(bun: BunLike): Listen {
  return (handler, { port, hostname, failed, sleep }) =>
    new Promise((resolve) => {
      const server = bun.serve({
        port,
        hostname,
        idleTimeout: 0,
        development: false,
        reusePort: false,
        // One argument, so that a handler cannot grow to depend on this runtime's second.
        fetch: (request) => handler(request),
        error: failed,
      });
      resolve({
        port: server.port,
        drain: async () => {
          void server.stop(false).catch(() => {});
          while (server.pendingRequests > 0) await sleep(POLL);
        },
        close: () => server.stop(true),
      });
    });
}
