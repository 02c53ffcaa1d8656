/** Answers a request. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** A runtime's own server, as far as this adapter needs it. */
export interface Listener {
  readonly port: number;
  /** Stops accepting connections; resolves when the requests in flight are answered. */
  drain(): Promise<void>;
  /** Closes what is still open. */
  close(): Promise<void>;
}

/** Where to listen and what to do for a handler that failed. */
export interface ListenOptions {
  readonly port: number;
  readonly hostname: string;
  readonly failed: (error: unknown) => Response;
  /** Waits for some ms. */
  readonly sleep: (ms: number) => Promise<void>;
}

/** Starts a runtime's server; rejects with what the runtime says when it cannot. */
export type Listen = (handler: Handler, options: ListenOptions) => Promise<Listener>;
