import type { Runtime } from "./runtime.ts";

/** Finds the endpoints of nodes, by asking whoever knows which of them run: a platform, a name server. */
export interface Discovery {
  /** What it is called in messages. */
  readonly name: string;
  /**
   * Begins to look, in the background; does not throw when that fails. May be called again, also while an earlier look
   * goes on: neither knows of the other.
   */
  open(runtime: Runtime): OpenDiscovery;
}

/**
 * A look that goes on until it is disposed. Disposing it waits for nothing that lies outside the process; what was
 * found last stays then. `discoveryConformance` of `/testing` holds a discovery to all of this.
 */
export interface OpenDiscovery extends AsyncDisposable {
  /**
   * The endpoints known just now, each once, at most 1,024; those found last while looking fails, none before the
   * first look has ended. The same array as before as long as nothing has changed, another one when it has.
   */
  endpoints(): readonly string[];
  /** Settles when the first look has ended, well or not, or was disposed. Never rejects. */
  readonly ready: Promise<void>;
  /** How many looks have failed so far; only grows, and no more once it is disposed. */
  readonly failures: number;
}
