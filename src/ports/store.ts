import type { Durability } from "./storage.ts";

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

/** What {@linkcode Store.get} takes. */
export interface GetOptions {
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Store.put} takes. */
export interface PutOptions {
  /** Writes only over this revision, or only where there is nothing; whatever is there if left out. */
  readonly expected?: number | "absent" | undefined;
  /** How long the entry stays unless it is written again, in ms by the store's own clock; for ever if left out. */
  readonly ttl?: number | undefined;
  /** Gives up waiting; the write may have happened. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Store.delete} takes. */
export interface DeleteOptions {
  /** Takes only this revision away; whatever is there if left out. */
  readonly expected?: number | undefined;
  /** Gives up waiting; the entry may be gone. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Store.list} takes. */
export interface ListOptions {
  /** Only what comes after this key, whether or not it is there: the last one of the page before. */
  readonly after?: string | undefined;
  /** How many entries at most. @default 1000 */
  readonly limit?: number | undefined;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Store.watch} takes. */
export interface WatchOptions {
  /** Ends the watch; the loop over it ends without a failure. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What a watch tells: what is there, then once that it has told all of it, then each change. Time that ran out is a
 * `delete` too.
 */
export type Change =
  | { readonly type: "put"; readonly entry: Entry }
  | { readonly type: "delete"; readonly key: string; readonly revision: number }
  | { readonly type: "ready" };

/** The `data` of a `CONFLICT`. */
export interface RevisionConflict {
  /** What the caller expected. */
  readonly expected: number | "absent";
  /** What was there instead. */
  readonly found: number | "absent";
}

/** How soon watches tell of a change that look for it from time to time, in ms. */
export interface Looks {
  /** While there are changes. */
  readonly soon: number;
  /** At the latest. */
  readonly late: number;
}

/**
 * What the nodes of a cluster keep together: small values under names, changed by compare-and-set. Each operation
 * happens at one instant, and whoever asks later sees what it did.
 *
 * A key has 1 to 512 characters, a value at most 262,144; both are well-formed Unicode.
 *
 * All methods reject with a `CatgaError`: `CONFLICT` with a {@linkcode RevisionConflict} when the expected revision
 * is not the one there, `VALIDATION` for what no store takes, `OVERLOADED` when there is no room, `UNAVAILABLE` when
 * provably nothing was done, `TRANSPORT` when it may have been, `CANCELLED` when the signal aborted. A watch that
 * breaks off throws `TRANSPORT`.
 */
export interface Store {
  /**
   * What survives of what it is given to keep; each adapter says so. Left out by what only stands before a store and
   * cannot know.
   */
  readonly durability?: Durability | undefined;
  /** How its watches look for changes, where each look has a price; left out where they are told of them at once. */
  readonly looks?: Looks | undefined;
  /** The entry under a key; `undefined` if there is none. */
  get(key: string, options?: GetOptions): Promise<Entry | undefined>;
  /** Writes an entry; answers its new revision. */
  put(key: string, value: string, options?: PutOptions): Promise<number>;
  /** Takes an entry away, if it is there. */
  delete(key: string, options?: DeleteOptions): Promise<void>;
  /** The entries whose keys begin like this, ordered by the code points of their keys, as UTF-8 is by its bytes. */
  list(prefix: string, options?: ListOptions): Promise<readonly Entry[]>;
  /**
   * The entries whose keys begin like this, then each change; a slow reader gets the newest of each key. Over a
   * network it notices by a heartbeat of its own that its connection is dead, and breaks off.
   */
  watch(prefix: string, options?: WatchOptions): AsyncIterable<Change>;
}
