import { CatgaError, systemFault } from "../../result.ts";
import { type SharedCall, waitFor } from "../../internal/shared_call.ts";
import { encodeValue } from "./cache_record.ts";
import { CacheFiller } from "./cache_filler.ts";
import { type CachePolicy, cachePolicy, checkTimes } from "./cache_policy.ts";
import { CacheShelf, checkName } from "./cache_shelf.ts";
import type {
  CacheCallOptions,
  CacheOptions,
  CacheStats,
  CachingOptions,
  Compute,
  DistributedCache,
} from "./cache_types.ts";
import { NearCache } from "./near_cache.ts";

/**
 * A cache over a store, for all processes on it.
 *
 * Of all who ask for a value that is not there one computes it, and the others wait for it. No value is answered that
 * is older than its `ttl`, by the store's clock, since it began to be computed, but for `staleWhileRevalidate`, the time
 * a request is on its way, and what `near` allows. A value that began to be computed before its key was set or deleted
 * or its tag invalidated is not kept: only those of the process get it who wait for that computing.
 *
 * While the store cannot be asked, values are computed in each process (`whenDown`), kept in the process where it keeps
 * any, and answered from there for `staleIfDown`.
 *
 * @example
 * ```ts
 * import { type } from "@catga/catga";
 * import { createCache } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock });
 * const prices = createCache({ store, runtime, namespace: "prices", value: type<number>(), ttl: 30_000 });
 * console.log(await prices.getOrSet("p1", () => 42, { tags: ["summer"] }));
 * console.log(await prices.get("p1"));
 * await prices.invalidate("summer");
 * console.log(await prices.get("p1"));
 * await prices[Symbol.asyncDispose]();
 * ```
 */
export function createCache<V>(options: CacheOptions<V>): DistributedCache<V> {
  return new Cache(options);
}

/** What many wait for: a value, or why there is none. */
type Outcome<V> = { readonly value: V } | { readonly error: unknown };

class Cache<V> implements DistributedCache<V> {
  readonly #options: CacheOptions<V>;
  readonly #shelf: CacheShelf<V>;
  readonly #near: NearCache<V> | undefined;
  readonly #filler: CacheFiller<V>;
  readonly #flights: Map<string, SharedCall<Outcome<V>>> = new Map();
  readonly #counts = { near: 0, hits: 0, stale: 0, misses: 0, joined: 0, computed: 0, poisoned: 0, down: 0 };
  readonly #timeout: number;
  #closed = false;

  constructor(options: CacheOptions<V>) {
    const { store, runtime, namespace, value, near } = options;
    const { claim = 5000, timeout = 30_000, patience = 1000, longest = 86_400_000, waiting = 10_000 } =
      options;
    checkName("the namespace", namespace);
    checkTimes(namespace, {
      claim: [claim, 100],
      timeout: [timeout, 1],
      patience: [patience, 1],
      longest: [longest, 1],
      waiting: [waiting, 1],
    });
    cachePolicy(options as CacheOptions<never>);
    this.#options = { ...options, waiting };
    this.#timeout = timeout;
    const poisoned = (): void => void this.#counts.poisoned++;
    this.#shelf = new CacheShelf({ store, runtime, namespace, value, patience, longest, poisoned });
    this.#near = near && new NearCache(this.#shelf.prefix, store, runtime, near);
    this.#filler = new CacheFiller({
      shelf: this.#shelf,
      near: this.#near,
      counts: this.#counts,
      store,
      runtime,
      namespace,
      claim,
      timeout,
      through: (options.whenDown ?? "through") === "through",
    });
  }

  async get(key: string, { signal }: CacheCallOptions = {}): Promise<V | undefined> {
    this.#check(key, signal);
    const near = this.#near?.get(key);
    if (near !== undefined) {
      this.#counts.near++;
      return near;
    }
    return await this.#filler.look(key, this.#policy().ttl, signal);
  }

  async getOrSet(
    key: string,
    compute: Compute<V>,
    options: CachingOptions & CacheCallOptions = {},
  ): Promise<V> {
    const { signal } = options;
    this.#check(key, signal);
    const policy = this.#policy(options);
    const near = this.#near?.get(key);
    if (near !== undefined) {
      this.#counts.near++;
      return near;
    }
    let flight = this.#flights.get(key);
    if (flight !== undefined) this.#counts.joined++;
    else flight = this.#start(key, compute, policy);
    const under = flight;
    const outcome = await waitFor<Outcome<V>>(under, {
      signals: signal === undefined ? [] : [signal],
      timer: undefined,
      gone: () => ({ error: this.#cancelled(key) }),
      empty: () => this.#end(key, under, this.#cancelled(key)),
    });
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  async set(key: string, value: V, options: CachingOptions = {}): Promise<void> {
    this.#check(key, undefined);
    const { ttl, stale, tags } = this.#policy(options);
    const marked = stale > 0;
    const text = encodeValue({ value, tags, since: undefined, marked });
    if (text === undefined) {
      const message = `Cannot keep "${key}": its value is no plain data, or more than a store takes`;
      throw new CatgaError(systemFault("VALIDATION", message));
    }
    await this.#changing(key, async () => {
      await this.#shelf.overwrite(this.#shelf.keyOf("value", key), text, ttl + stale, true);
      if (marked) await this.#shelf.overwrite(this.#shelf.keyOf("mark", key), "{}", ttl, false);
    });
  }

  async delete(key: string): Promise<void> {
    this.#check(key, undefined);
    await this.#changing(key, () => this.#shelf.drop(this.#shelf.keyOf("value", key)));
  }

  async invalidate(tag: string): Promise<void> {
    checkName("a tag", tag);
    this.#check(tag, undefined);
    const forget = (): void => {
      this.#near?.clear();
      this.#flights.clear();
    };
    forget();
    try {
      await this.#shelf.touch(tag);
    } finally {
      forget();
    }
  }

  stats(): CacheStats {
    return { ...this.#counts };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const [key, flight] of [...this.#flights]) this.#end(key, flight, this.#cancelled(key));
    this.#near?.[Symbol.dispose]();
    this.#filler.close();
    return Promise.resolve();
  }

  #start(key: string, compute: Compute<V>, policy: CachePolicy): SharedCall<Outcome<V>> {
    const { runtime: { clock }, namespace, waiting } = this.#options;
    if (this.#flights.size >= waiting!) {
      const message = `Cannot wait for "${key}" of "${namespace}": ${waiting} keys are waited for already`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    const abort = new AbortController();
    const flight: SharedCall<Outcome<V>> = {
      abort,
      refresh: false,
      result: undefined as never,
      waiting: 0,
      joined: false,
      shared: true,
      over: false,
    };
    this.#flights.set(key, flight);
    const stop = clock.timer(this.#timeout, () => {
      const message = `Computing "${key}" of "${namespace}" took more than ${this.#timeout} ms`;
      this.#end(key, flight, new CatgaError(systemFault("TIMEOUT", message)));
    });
    flight.result = new Promise((resolve) => {
      const settle = (outcome: Outcome<V>): void => {
        stop();
        flight.over = true;
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        resolve(outcome);
      };
      abort.signal.addEventListener("abort", () => settle({ error: abort.signal.reason }), { once: true });
      this.#filler.fill(key, compute, policy, abort.signal)
        .then((value) => settle({ value }), (error) => settle({ error }));
    });
    return flight;
  }

  /** Ends what is waited for, and what is computed for it. */
  #end(key: string, flight: SharedCall<Outcome<V>>, reason: CatgaError): void {
    if (flight.over) return;
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    flight.abort.abort(reason);
  }

  /** Nobody who asks once this is done gets what was there before. */
  async #changing(key: string, work: () => Promise<unknown>): Promise<void> {
    const forget = (): void => {
      this.#near?.drop(key);
      this.#flights.delete(key);
    };
    forget();
    try {
      await work();
    } finally {
      forget();
    }
  }

  #policy(options?: CachingOptions): CachePolicy {
    return cachePolicy(this.#options as CacheOptions<never>, options);
  }

  #check(key: string, signal: AbortSignal | undefined): void {
    checkName("a key", key);
    if (this.#closed || signal?.aborted) throw this.#cancelled(key);
  }

  #cancelled(key: string): CatgaError {
    const message = `Nobody waits any longer for "${key}" of "${this.#options.namespace}"`;
    return new CatgaError(systemFault("CANCELLED", message));
  }
}
