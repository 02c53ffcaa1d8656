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
      readonly onListen: () => void;
      readonly onError: (error: unknown) => Response;
    },
    handler: (request: Request) => Response | Promise<Response>,
  ): DenoServer;
}

const LAST = 200;

/**
 * Listens by `Deno.serve`. Once it shuts down it cannot be made to drop connections: requests that outlast the grace
 * are answered 503 in their handlers' place, and a stream that is still being sent is left to its client.
 */
export function denoListen(deno: DenoLike): Listen {
  return (handler, { port, hostname, failed, sleep }) =>
    new Promise((resolve) => {
      const waiting = new Set<(response: Response) => void>();
      const server = deno.serve({ port, hostname, onListen: () => {}, onError: failed }, (request) => {
        const response = handler(request);
        if (!(response instanceof Promise)) return response;
        return new Promise((resolve, reject) => {
          waiting.add(resolve);
          response.then((response) => {
            waiting.delete(resolve);
            resolve(response);
          }, (error) => {
            waiting.delete(resolve);
            reject(error);
          });
        });
      });
      resolve({
        port: server.addr.port,
        drain: () => server.shutdown(),
        close: () => {
          const headers = { connection: "close" };
          for (const answer of waiting) answer(new Response(null, { status: 503, headers }));
          return Promise.race([server.finished, sleep(LAST)]);
        },
      });
    });
}
