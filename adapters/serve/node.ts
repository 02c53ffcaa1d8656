import { CatgaError, systemFault } from "../../src/result.ts";
import type { Listen } from "./listener.ts";

/** The part of Node's HTTP server that is used. */
interface NodeServer {
  keepAliveTimeout: number;
  listen(port: number, hostname: string, done: () => void): void;
  once(event: "error", run: (error: unknown) => void): void;
  off(event: "error", run: (error: unknown) => void): void;
  address(): unknown;
  close(done: () => void): void;
  closeIdleConnections(): void;
  closeAllConnections(): void;
}

/** The part of `@hono/node-server` that is used. */
interface NodeServerPackage {
  createAdaptorServer(options: { readonly fetch: (request: Request) => unknown }): NodeServer;
}

/** Longer than clients keep silent connections, so that they are the ones who close them: no request is lost. */
const KEEP_ALIVE = 120_000;
const POLL = 10;

/** Listens by `@hono/node-server`, which puts its own faster `Request` and `Response` in the place of Node's. */
export const nodeListen: Listen = async (handler, { port, hostname, failed, sleep }) => {
  const { createAdaptorServer } = await load();
  const server = createAdaptorServer({
    fetch: (request) => {
      try {
        const response = handler(request);
        return response instanceof Promise ? response.catch(failed) : response;
      } catch (error) {
        return failed(error);
      }
    },
  });
  server.keepAliveTimeout = KEEP_ALIVE;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, () => {
      server.off("error", reject);
      resolve();
    });
  });
  let closed = false;
  let closing: Promise<void> | undefined;
  const drain = (): Promise<void> => {
    closing ??= new Promise((resolve) =>
      server.close(() => {
        closed = true;
        resolve();
      })
    );
    void sweep();
    return closing;
  };
  // A connection whose answer had begun before stays open when it is done: its headers could not say otherwise.
  const sweep = async (): Promise<void> => {
    while (!closed) {
      server.closeIdleConnections();
      await sleep(POLL);
    }
  };
  return {
    port: (server.address() as { port: number }).port,
    drain,
    close: () => {
      const done = drain();
      server.closeAllConnections();
      return done;
    },
  };
};

async function load(): Promise<NodeServerPackage> {
  try {
    return await import("@hono/node-server") as unknown as NodeServerPackage;
  } catch (cause) {
    const message =
      "Cannot serve on Node without the package @hono/node-server. Add it: npm install @hono/node-server";
    throw new CatgaError(systemFault("INTERNAL", message, undefined, cause));
  }
}
