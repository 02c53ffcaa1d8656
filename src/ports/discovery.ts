import type { Runtime } from "./runtime.ts";

/** Finds the endpoints of nodes, by asking whoever knows which of them run: a platform, a name server. */
export interface Discovery {
  /** What it is called in messages. */
  readonly name: string;
  /** Begins to look, in the background. May be called again, also while an earlier look goes on. */
  open(runtime: Runtime): OpenDiscovery;
}

/** A look that goes on until it is disposed. Disposing it waits for nothing that lies outside the process. */
export interface OpenDiscovery extends AsyncDisposable {
  /**
   * The endpoints known just now, at most 1,024; those found last while looking fails. The same array as before
   * as long as nothing has changed.
   */
  endpoints(): readonly string[];
  /** Settles when the first look has ended, well or not. Never rejects. */
  readonly ready: Promise<void>;
  /** How many looks have failed so far. */
  readonly failures: number;
}
