import { CatgaError, faultOf, systemFault } from "../result.ts";
import { Lru } from "../internal/lru.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import { RateLimiterBucket } from "./rate_limiter_bucket.ts";
import { type RateLimit, RateMeasure } from "./rate_limiter_measure.ts";
import type { SlotsHost } from "./rate_limiter_slots.ts";

/** What {@linkcode createRateLimiter} takes. */
export interface RateLimiterOptions {
  /** Where it is kept what was allowed. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** What the keys in the store begin with. @default "limits/" */
  readonly prefix?: string | undefined;
  /**
   * What becomes of calls while the store cannot be asked: they are refused, by a rejection with its failure, or
   * allowed without being counted. @default "refuse"
   */
  readonly whenDown?: "refuse" | "allow" | undefined;
  /** Of how many keys to remember how they stood. @default 10_000 */
  readonly keys?: number | undefined;
  /** How many calls may wait for the store in this process; over it `OVERLOADED`. @default 10_000 */
  readonly waiting?: number | undefined;
}

/** What {@linkcode RateLimiter.limit} takes. */
export interface RateCall extends RateLimit {
  /** How much this call takes of the limit: a whole number up to `burst`. @default 1 */
  readonly cost?: number | undefined;
  /** Gives up waiting; what was taken for it may count as used. */
  readonly signal?: AbortSignal | undefined;
}

/** What became of a call. */
export interface RateDecision {
  /** Whether it may go on. */
  readonly allowed: boolean;
  /** How much is left just now, as far as this process knows. */
  readonly remaining: number;
  /** When it may go on at the latest, if nobody else is faster, in ms from now; 0 when it was allowed. */
  readonly retryAfter: number;
}

/** Allows so much in so much time, over all processes on one store. */
export interface RateLimiter {
  /**
   * Whether a call may go on now. Rejects with a `RangeError` for a limit that is none, with a `CatgaError` when the
   * store cannot be asked (`UNAVAILABLE`, `TRANSPORT`, unless `whenDown` is "allow"), when too many wait
   * (`OVERLOADED`) or the signal aborts (`CANCELLED`).
   */
  limit(key: string, call: RateCall): Promise<RateDecision>;
}

/**
 * A rate limiter over a store: at most `burst` in each window of `burst * per / rate` ms, and so never more than
 * `rate` for each `per`, and `burst`, in any time, whatever happens: that many processes ask at once, that they stand
 * still or crash, that an answer of the store is lost (what was asked for counts as used) or that clocks are wrong.
 *
 * All time is that of the store, as the time to live of entries, so no clock has to be right. A limit is cut into up
 * to 32 slots. What is taken of a slot is added up in its entry by compare-and-set, and the entry goes of itself a
 * window after the last of it was taken. So a slot gives no more than its part in any window, and all of them no more
 * than `burst`. The price: what is taken first of a slot comes back with the last of it, so that under full load about
 * a tenth less than `rate` is allowed. Calls of one process that ask at once share one request.
 *
 * @example
 * ```ts
 * import { createRateLimiter } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const limiter = createRateLimiter({ store: memoryStore({ clock: runtime.clock }), runtime });
 * for (let login = 1; login <= 4; login++) {
 *   const { allowed, retryAfter } = await limiter.limit("login/ada", { rate: 3, per: 60_000 });
 *   console.log(allowed ? "come in" : `not before ${Math.ceil(retryAfter / 1000)} s`);
 * }
 * ```
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  return new Limiter(options);
}

class Limiter implements RateLimiter {
  readonly #options: RateLimiterOptions;
  readonly #most: number;
  readonly #buckets: Lru<RateLimiterBucket>;
  readonly #host: SlotsHost;
  #waiting = 0;
  #down = false;

  constructor(options: RateLimiterOptions) {
    const { store, runtime, keys = 10_000, waiting = 10_000 } = options;
    if (!(waiting >= 1)) {
      throw new RangeError(`Cannot make a rate limiter: waiting is ${waiting}, but must be 1 or more`);
    }
    this.#options = options;
    this.#most = waiting;
    this.#buckets = new Lru({ entries: keys, size: Infinity });
    this.#host = { store, runtime };
  }

  async limit(key: string, call: RateCall): Promise<RateDecision> {
    const measure = new RateMeasure(call);
    const { cost = 1, signal } = call;
    if (!(Number.isSafeInteger(cost) && cost >= 1 && cost <= measure.burst)) {
      throw new RangeError(
        `Cannot limit "${key}": the cost is ${cost}, but must be a whole number from 1 to ${measure.burst}`,
      );
    }
    if (signal?.aborted) throw cancelled(key);
    const bucket = this.#bucket(key, measure);
    const known = bucket.decide(cost);
    if (known !== undefined) return known;
    if (this.#waiting >= this.#most) {
      const message = `Cannot limit "${key}": ${this.#waiting} calls wait for the store already`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    this.#waiting++;
    try {
      const decision = await bucket.ask(cost, signal, () => cancelled(key));
      this.#down = false;
      return decision;
    } catch (thrown) {
      return this.#fail(key, thrown);
    } finally {
      this.#waiting--;
    }
  }

  #bucket(key: string, measure: RateMeasure): RateLimiterBucket {
    const { prefix = "limits/" } = this.#options;
    // A key of one limit begins with no key of another.
    const place = `${prefix}${measure.burst}-${measure.window}/${key.length}:${key}/`;
    let bucket = this.#buckets.get(place, 0);
    if (bucket === undefined) {
      bucket = new RateLimiterBucket(place, measure, this.#host);
      this.#buckets.set(place, bucket, Infinity, 0);
    }
    bucket.measure = measure;
    return bucket;
  }

  #fail(key: string, thrown: unknown): RateDecision {
    const { runtime, whenDown = "refuse" } = this.#options;
    const { code, message, retryable } = faultOf(thrown);
    if (!retryable) throw thrown;
    if (!this.#down) {
      this.#down = true;
      runtime.log({
        level: "warn",
        event: "limit.unreachable",
        message: `Calls are ${whenDown === "allow" ? "allowed without a limit" : "refused"}: ${message}`,
        fields: { key, code },
      });
    }
    if (whenDown === "refuse") throw thrown;
    return { allowed: true, remaining: 0, retryAfter: 0 };
  }
}

function cancelled(key: string): CatgaError {
  return new CatgaError(systemFault("CANCELLED", `Nobody waits any longer for the limit of "${key}"`));
}
