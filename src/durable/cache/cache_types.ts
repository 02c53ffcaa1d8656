import type { Failure, Fault, Success } from "../../result.ts";
import type { Schema } from "../../schema.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";

/** How values are kept. */
export interface CachingOptions {
  /** How long a value is fresh, in ms: from when it began to be computed, or was set. @default 60_000 */
  readonly ttl?: number | undefined;
  /** How long after that it is still answered while somebody computes a new one, in ms. @default 0 */
  readonly staleWhileRevalidate?: number | undefined;
  /** What it can be invalidated by, together with others: at most 16 names. @default [] */
  readonly tags?: readonly string[] | undefined;
}

/** What {@linkcode createCache} takes; `ttl` and the like hold where a call says nothing else. */
export interface CacheOptions<V> extends CachingOptions {
  /** Where values are kept. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Tells its keys and tags from those of other caches: a name, and what else must be kept apart, such as a tenant. */
  readonly namespace: string;
  /** What values are. One that was kept and does not fit is a miss and logged. */
  readonly value: Schema<unknown, V>;
  /** The longest any value may be answered, in ms; the same for all processes. @default 86_400_000, a day */
  readonly longest?: number | undefined;
  /** How long one process may compute what all wait for without being heard of, in ms: at least 100. @default 5000 */
  readonly claim?: number | undefined;
  /** How long computing a value may take, in ms. @default 30_000 */
  readonly timeout?: number | undefined;
  /** How long the store may take to answer, in ms. @default 1000 */
  readonly patience?: number | undefined;
  /**
   * What becomes of reading while the store cannot be asked: it goes through, so that `get` finds nothing and
   * `getOrSet` computes in this process; or it rejects. @default "through"
   */
  readonly whenDown?: "through" | "fail" | undefined;
  /** Keeps values in this process too, and watches the store for changes to them. @default no values */
  readonly near?: NearCacheOptions | undefined;
  /** How many keys may be waited for at once in this process; over it `OVERLOADED`. @default 10_000 */
  readonly waiting?: number | undefined;
}

/** How values are kept in the process as well. The process then hears of all that is written in the namespace. */
export interface NearCacheOptions {
  /** How many. @default 10_000 */
  readonly entries?: number | undefined;
  /** How much they take together, in bytes, roughly. @default 16_777_216 */
  readonly size?: number | undefined;
  /**
   * How long one is answered without asking the store again, in ms. Changes are told within moments; by so much a value
   * can be too old where word of them is lost. @default 5000
   */
  readonly maxAge?: number | undefined;
  /** How much longer one is answered while the store cannot be asked, in ms. @default 0 */
  readonly staleIfDown?: number | undefined;
}

/** What bounds a call. */
export interface CacheCallOptions {
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Computes a value, or fails: by throwing, or with a result that is a failure. Its signal aborts when nobody waits for
 * it any longer or it takes too long.
 */
export type Compute<V> = (signal: AbortSignal) => Computed<V> | Promise<Computed<V>>;

/** What computing answers. */
export type Computed<V> = V | Success<V> | Failure<Fault>;

/** What a cache has counted in this process. */
export interface CacheStats {
  /** Values answered out of the process. */
  readonly near: number;
  /** Values answered out of the store. */
  readonly hits: number;
  /** Those of them that were past their time. */
  readonly stale: number;
  /** Times that there was no value. */
  readonly misses: number;
  /** Calls that waited for another one of this process. */
  readonly joined: number;
  /** Values computed. */
  readonly computed: number;
  /** What was kept and did not fit. */
  readonly poisoned: number;
  /** Times that the store could not be asked. */
  readonly down: number;
}

/**
 * Values under keys that all processes on a store share. Values are plain data, and frozen when they are handed out.
 * All methods reject with a `CatgaError`: `VALIDATION` for keys and values the store does not take, `CANCELLED` when the
 * signal aborts, `OVERLOADED` when too much is waited for.
 *
 * Disposing it ends the watch and what is computed in the background.
 */
export interface DistributedCache<V> extends AsyncDisposable {
  /** The value of a key, also one past its time that is still good; `undefined` if there is none. */
  get(key: string, options?: CacheCallOptions): Promise<V | undefined>;
  /**
   * The value of a key; where there is none it is computed, by one of all who ask: the others of this process and of
   * all others wait for it. Failures are not kept, but thrown to those of this process. `TIMEOUT` when it takes too long.
   */
  getOrSet(key: string, compute: Compute<V>, options?: CachingOptions & CacheCallOptions): Promise<V>;
  /** Keeps a value. Rejects when the store does not say that it is kept: it may be. What is being computed is not. */
  set(key: string, value: V, options?: CachingOptions): Promise<void>;
  /** Lets a value go, and what is being computed. Rejects when the store does not say that it is gone. */
  delete(key: string): Promise<void>;
  /**
   * Lets all values of a tag go, with one write however many they are; also those that are just being computed. Rejects
   * when the store does not say so.
   */
  invalidate(tag: string): Promise<void>;
  /** What was done in this process. */
  stats(): CacheStats;
}
