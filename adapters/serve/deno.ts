import type { Listen } from "./listener.ts";

/** The part of Deno's server that is used. */
interface DenoServer {
  readonly addr: { readonly port: number };
  readonly finished: Promise<void>;
  shutdown(): Promise<void>;
}

/** The part of `Deno` that is used. */
export interface DenoLike {
  serve(
    options: {
      readonly port: number;
      readonly hostname: string;
      readonly signal: AbortSignal;
      readonly onListen: () => void;
      readonly onError: (error: unknown) => Response;
    },
    handler: (request: Request) => Response | Promise<Response>,
  ): DenoServer;
}

/** Listens by `Deno.serve`. */
export function denoListen(deno: DenoLike): Listen {
  return (handler, { port, hostname, failed }) =>
    new Promise((resolve) => {
      const abort = new AbortController();
      const server = deno.serve(
        { port, hostname, signal: abort.signal, onListen: () => {}, onError: failed },
        // One argument, so that a handler cannot grow to depend on this runtime's second.
        (request) => handler(request),
      );
      let finished = false;
      void server.finished.then(() => finished = true, () => finished = true);
      resolve({
        port: server.addr.port,
        drain: () => server.shutdown(),
        close: () => {
          if (!finished) abort.abort();
          return server.finished;
        },
      });
    });
}
