/** What a query cache takes. */
export interface QueryCacheOptions {
  /** How many answers are kept. @default 10_000 */
  readonly entries?: number | undefined;
  /** How much they take together, in bytes, roughly; one may take an eighth of it. @default 67_108_864 */
  readonly size?: number | undefined;
  /** The header that names the tenant. @default "tenant" */
  readonly tenantHeader?: string | undefined;
}

/** What a cache holds and has done. */
export interface QueryCacheStats extends QueryCacheCounts {
  /** Answers kept. */
  readonly entries: number;
  /** What they take together, in bytes, roughly. */
  readonly size: number;
  /** Answers that had to make room. */
  readonly evicted: number;
  /** Whether answers are kept for a short time only, because word of commands may not come through. */
  readonly suspect: boolean;
}

/** What a cache has counted. */
export interface QueryCacheCounts {
  /** Answers that were given at once. */
  readonly hits: number;
  /** Those of them that were past their time, and are being fetched anew. */
  readonly stale: number;
  /** Calls that had to wait. */
  readonly misses: number;
  /** Those of them that joined a call under way. */
  readonly joined: number;
  /** Answers that were not kept: without a key, too large or no plain data. */
  readonly refused: number;
  /** Answers that a command has ended. */
  readonly invalidated: number;
}
