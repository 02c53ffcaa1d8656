/** What a store keeps under a key. */
export interface Entry {
  /** Its name. */
  readonly key: string;
  /** What is kept. */
  readonly value: string;
  /**
   * Grows with each write to the whole store and is never used twice, also after entries are gone: what was written
   * later has the larger one, so it serves as a fencing token.
   */
  readonly revision: number;
}

/** What a write asks for. */
export interface PutOptions {
  /** Writes only over this revision, or only where there is nothing; whatever is there if left out. */
  readonly expected?: number | "absent" | undefined;
  /** How long the entry stays unless it is written again, in ms by the store's own clock; for ever if left out. */
  readonly ttl?: number | undefined;
  /** Gives up waiting; the write may have happened. */
  readonly signal?: AbortSignal | undefined;
}

/** One thing that happened to an entry. */
export type Change =
  | { readonly type: "put"; readonly entry: Entry }
  | { readonly type: "delete"; readonly key: string; readonly revision: number };

/**
 * What the nodes of a cluster keep together: small values under names, changed by compare-and-set.
 *
 * All methods reject with a `CatgaError`: `CONFLICT` when the expected revision is not the one there,
 * `UNAVAILABLE` when provably nothing was done, `TRANSPORT` when it may have been.
 */
export interface Store {
  /** The entry under a key; `undefined` if there is none. */
  get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Entry | undefined>;
  /** Writes an entry; answers its new revision. */
  put(key: string, value: string, options?: PutOptions): Promise<number>;
  /** Takes an entry away, if it is there. */
  delete(
    key: string,
    options?: { readonly expected?: number; readonly signal?: AbortSignal },
  ): Promise<void>;
  /** The entries whose keys begin like this, ordered by key, at most so many. */
  list(
    prefix: string,
    options?: { readonly limit?: number; readonly signal?: AbortSignal },
  ): Promise<readonly Entry[]>;
  /** The entries whose keys begin like this, then each change; a slow reader gets the newest of each key. */
  watch(prefix: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<Change>;
}
