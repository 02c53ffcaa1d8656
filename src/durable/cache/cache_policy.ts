import type { CacheOptions, CachingOptions } from "./cache_types.ts";

/** How one value is kept. */
export interface CachePolicy {
  readonly ttl: number;
  readonly stale: number;
  readonly tags: readonly string[];
}

/** How many tags one value may have: each is asked for when it is read. */
const TAGS = 16;
const DAY = 86_400_000;

/** What options say, with what a cache's own say where they leave it out. Throws a `RangeError` for what cannot be. */
export function cachePolicy(cache: CacheOptions<never>, call: CachingOptions = {}): CachePolicy {
  const { namespace, longest = DAY } = cache;
  const ttl = call.ttl ?? cache.ttl ?? 60_000;
  const stale = call.staleWhileRevalidate ?? cache.staleWhileRevalidate ?? 0;
  const tags = [...new Set(call.tags ?? cache.tags ?? [])].sort();
  if (!(ttl > 0 && stale >= 0 && ttl + stale <= longest)) {
    throw new RangeError(
      `Cannot keep anything in "${namespace}" for ${ttl} and ${stale} ms: it must be more than 0 and ${longest} at most`,
    );
  }
  if (tags.length > TAGS || tags.some((tag) => tag.length === 0)) {
    throw new RangeError(
      `Cannot keep anything in "${namespace}" with ${tags.length} tags: 0 to ${TAGS} may have names`,
    );
  }
  return { ttl, stale, tags };
}

/** Refuses times that cannot be. Throws a `RangeError`. */
export function checkTimes(
  namespace: string,
  times: Readonly<Record<string, readonly [value: number, least: number]>>,
): void {
  for (const [name, [value, least]] of Object.entries(times)) {
    if (value >= least && value < Infinity) continue;
    throw new RangeError(
      `Cannot make the cache "${namespace}": ${name} is ${value}, but must be ${least} or more`,
    );
  }
}
