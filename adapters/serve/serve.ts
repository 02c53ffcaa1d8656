import type { Runtime } from "../../src/ports/runtime.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import { type BunLike, bunListen } from "./bun.ts";
import { type DenoLike, denoListen } from "./deno.ts";
import type { Handler, Listen } from "./listener.ts";
import { nodeListen } from "./node.ts";

/** What {@linkcode serve} takes. */
export interface ServeOptions {
  /** The port to listen on; 0 for any that is free. */
  readonly port: number;
  /** The address to listen on. @default "127.0.0.1" */
  readonly hostname?: string;
  /** Stops the server when it aborts. */
  readonly signal?: AbortSignal;
  /**
   * Says that node endpoints behind the handler have a secret, or that there is none of them. Without it only
   * addresses of this machine are listened on. @default false
   */
  readonly secret?: boolean;
  /** Where time and the log come from. @default systemRuntime() */
  readonly runtime?: Runtime;
}

/** How to stop a server. */
export interface StopOptions {
  /** The longest to wait for requests in flight, in ms; what is still open then is cut. @default 8000 */
  readonly grace?: number;
  /**
   * How long to go on accepting requests, in ms or until a promise settles (such as that of `node.leave()`), with
   * `connection: close` on every answer, so that clients find out at their next request and not by a broken
   * connection. @default 0
   */
  readonly linger?: number | Promise<unknown>;
}

/** A server that listens. Disposing it stops it. */
export interface Server extends AsyncDisposable {
  /** Such as `http://127.0.0.1:5001`, without a slash at its end. */
  readonly url: string;
  /** The port it listens on, also where 0 was asked for. */
  readonly port: number;
  /** The address it listens on. */
  readonly hostname: string;
  /**
   * Stops accepting, lets the requests in flight finish, closes. Answers given meanwhile carry `connection: close`.
   * Further calls wait for the first one. Never rejects.
   */
  stop(options?: StopOptions): Promise<void>;
}

/**
 * Serves a handler on whichever runtime this is: by `Bun.serve`, by `Deno.serve`, on Node by the package
 * `@hono/node-server`. A handler that fails is answered with a bare 500 and logged as `request.failed`.
 *
 * Rejects with a `CatgaError`: `CONFLICT` when the port is taken, `VALIDATION` for an address beyond this machine
 * without {@linkcode ServeOptions.secret}, `INTERNAL` when the runtime cannot listen for another reason.
 */
export async function serve(handler: Handler, options: ServeOptions): Promise<Server> {
  const { port, hostname = "127.0.0.1", signal, secret = false, runtime = systemRuntime() } = options;
  const place = `${hostname.includes(":") ? `[${hostname}]` : hostname}`;
  if (!secret && !/^(localhost|127(\.\d{1,3}){3}|::1)$/.test(hostname)) {
    throw new CatgaError(systemFault(
      "VALIDATION",
      `Cannot listen on ${hostname}: it is beyond this machine and nodes may have no secret. ` +
        "Set a secret for nodes and say so with secret: true, or listen on 127.0.0.1",
    ));
  }
  const sleep = (ms: number) => new Promise<void>((resolve) => void runtime.clock.timer(ms, resolve));
  let stopping: Promise<void> | undefined;

  const finish = (response: Response): Response => stopping === undefined ? response : lastOf(response);
  const failed = (error: unknown): Response => {
    const message = "A handler failed to answer a request";
    runtime.log({ level: "error", event: "request.failed", message, fields: { error } });
    return finish(
      new Response(FAILED, { status: 500, headers: { "content-type": "application/problem+json" } }),
    );
  };
  const answer: Handler = (request) => {
    const response = handler(request);
    return response instanceof Promise ? response.then(finish) : finish(response);
  };

  const listener = await listenHere()(answer, { port, hostname, failed, sleep }).catch((error) => {
    throw CatgaError.is(error) ? error : refusal(`${place}:${port}`, error);
  });

  const run = async ({ grace = 8000, linger = 0 }: StopOptions): Promise<void> => {
    if (typeof linger !== "number") await linger.then(() => {}, () => {});
    else if (linger > 0) await sleep(linger);
    let patience = (): void => {};
    const enough = new Promise<void>((resolve) => patience = runtime.clock.timer(grace, resolve));
    await Promise.race([listener.drain().catch(() => {}), enough]);
    patience();
    await listener.close().catch(() => {});
  };
  const stop = (how: StopOptions = {}): Promise<void> => {
    if (stopping === undefined) {
      // Set before anything runs, so that no answer from now on goes out without its header.
      stopping = Promise.resolve().then(() => run(how));
      signal?.removeEventListener("abort", onAbort);
    }
    return stopping;
  };
  const onAbort = (): void => void stop();
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort);

  return {
    url: `http://${place}:${listener.port}`,
    port: listener.port,
    hostname,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

const FAILED = JSON.stringify({ type: "about:blank", title: "Internal error", status: 500 });

function listenHere(): Listen {
  const { Bun, Deno } = globalThis as { readonly Bun?: BunLike; readonly Deno?: DenoLike };
  return Bun !== undefined ? bunListen(Bun) : Deno !== undefined ? denoListen(Deno) : nodeListen;
}

/** Asks for the connection to be closed. A handler may hand on a response whose headers cannot be changed. */
function lastOf(response: Response): Response {
  try {
    response.headers.set("connection", "close");
    return response;
  } catch {
    const copy = new Response(response.body, response);
    copy.headers.set("connection", "close");
    return copy;
  }
}

function refusal(place: string, cause: unknown): CatgaError {
  const { code, name } = cause as { readonly code?: unknown; readonly name?: unknown };
  const taken = code === "EADDRINUSE" || name === "AddrInUse";
  return new CatgaError(systemFault(
    taken ? "CONFLICT" : "INTERNAL",
    taken
      ? `Cannot listen on ${place}: the port is taken. Stop what listens there, or choose another port`
      : `Cannot listen on ${place}: ${cause instanceof Error ? cause.message : String(cause)}`,
    undefined,
    cause,
  ));
}
