import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { EntryWatch } from "../entry_watch.ts";
import { CacheClaim, type CacheClaimHost } from "./cache_claim.ts";
import type { CachePolicy } from "./cache_policy.ts";
import { type CacheRecord, encodeValue } from "./cache_record.ts";
import { CacheRefresher, computed, logUnkept } from "./cache_refresher.ts";
import type { CacheShelf, Kept } from "./cache_shelf.ts";
import type { CacheStats, Compute } from "./cache_types.ts";
import type { Fill, NearCache } from "./near_cache.ts";
import { type Down, StoreReach } from "./store_reach.ts";

/** What a filler stands on. */
export interface CacheFillerHost<V> {
  readonly shelf: CacheShelf<V>;
  readonly near: NearCache<V> | undefined;
  readonly counts: { -readonly [Name in keyof CacheStats]: number };
  readonly store: Store;
  readonly runtime: Runtime;
  readonly namespace: string;
  readonly claim: number;
  readonly timeout: number;
  /** Whether reading goes through while the store cannot be asked. */
  readonly through: boolean;
}

/** How often the store may fail while one value is looked for. */
const FAILURES = 2;

/** What there is: a value, the right to compute it, or no store. */
type Sought<V> =
  | { readonly type: "value"; readonly kept: Kept<V>; readonly fresh: boolean }
  | { readonly type: "claim"; readonly claim: CacheClaim }
  | Down;

/** Finds values, and fills the cache where there are none. */
export class CacheFiller<V> {
  readonly #host: CacheFillerHost<V>;
  readonly #claims: CacheClaimHost;
  readonly #refresher: CacheRefresher<V>;
  readonly #reach: StoreReach;

  constructor(host: CacheFillerHost<V>) {
    this.#host = host;
    this.#claims = { shelf: host.shelf, runtime: host.runtime, ttl: host.claim };
    this.#refresher = new CacheRefresher(host, this.#claims);
    this.#reach = new StoreReach(host.runtime, host.namespace, () => host.counts.down++);
  }

  /** The value of a key; `undefined` if there is none. */
  async look(key: string, ttl: number, signal: AbortSignal | undefined): Promise<V | undefined> {
    const { shelf, near, counts } = this.#host;
    const fill = near?.open(key);
    try {
      const sought = await this.#reach.ask(() => shelf.read(key, signal));
      if (sought.type === "down") return this.#without(key, sought.cause);
      if (sought.type === "value") return this.#hit(sought, fill, ttl);
      counts.misses++;
      return undefined;
    } finally {
      fill?.close();
    }
  }

  /** The value of a key, computed if there is none. */
  async fill(key: string, compute: Compute<V>, policy: CachePolicy, signal: AbortSignal): Promise<V> {
    const { near, counts, runtime } = this.#host;
    const fill = near?.open(key);
    try {
      const sought = await this.#seek(key, signal);
      if (sought.type === "value") {
        if (!sought.fresh) this.#refresher.begin(key, compute, policy, sought.kept.revision);
        return this.#hit(sought, fill, policy.ttl);
      }
      counts.misses++;
      if (sought.type === "down") {
        const stale = this.#without(key, sought.cause);
        if (stale !== undefined) return stale;
        const value = await computed(compute, signal, this.#host.counts);
        const kept = await this.#keep({ value, tags: policy.tags, since: 0, marked: false }, 0);
        if (kept !== undefined) fill?.keep(kept, policy.ttl);
        return kept === undefined ? value : kept.value;
      }
      const { claim } = sought;
      const release = (): void => runtime.background(claim.release());
      if (signal.aborted) release();
      signal.addEventListener("abort", release, { once: true });
      try {
        return await this.#claimed(key, claim, compute, policy, signal, fill);
      } catch (thrown) {
        release();
        throw thrown;
      } finally {
        signal.removeEventListener("abort", release);
      }
    } finally {
      fill?.close();
    }
  }

  /** Ends what is computed in the background. */
  close(): void {
    this.#refresher.close();
  }

  #hit({ kept, fresh }: Sought<V> & { readonly type: "value" }, fill: Fill<V> | undefined, ttl: number): V {
    this.#host.counts.hits++;
    if (fresh) fill?.keep(kept, ttl);
    else this.#host.counts.stale++;
    return kept.value;
  }

  /** Reads the value, or claims it, or waits for whoever has. */
  async #seek(key: string, signal: AbortSignal): Promise<Sought<V>> {
    const { shelf, store, runtime, claim } = this.#host;
    const { random } = runtime;
    const path = shelf.keyOf("value", key);
    const id = [random.u32(), random.u32()].map((part) => part.toString(36)).join("-");
    const watch = new EntryWatch(runtime, claim / 3);
    let watched = false;
    try {
      for (let failures = 0;;) {
        signal.throwIfAborted();
        const sought = await this.#reach.ask(async () => {
          const found = await shelf.read(key, signal);
          if (found.type === "value") return found;
          if (found.type === "claim") {
            if (found.id !== id) return found.revision;
            return { type: "claim", claim: new CacheClaim(this.#claims, path, id, found.revision) } as const;
          }
          const claim = await CacheClaim.take(this.#claims, path, id, found.expected);
          return claim && { type: "claim", claim } as const;
        });
        if (typeof sought === "number") {
          if (!watched) watch.begin(path, store);
          watched = true;
          await watch.next(sought, signal);
        } else if (sought?.type === "down") {
          if (++failures >= FAILURES || this.#reach.isDown) return sought;
        } else if (sought !== undefined) return sought;
      }
    } finally {
      watch.close();
    }
  }

  async #claimed(
    key: string,
    claim: CacheClaim,
    compute: Compute<V>,
    { ttl, stale, tags }: CachePolicy,
    signal: AbortSignal,
    fill: Fill<V> | undefined,
  ): Promise<V> {
    const { shelf, runtime: { clock } } = this.#host;
    const begun = clock.mono();
    const value = await computed(compute, signal, this.#host.counts);
    const record: CacheRecord = { value, tags, since: claim.since, marked: stale > 0 };
    const text = encodeValue(record);
    const kept = text === undefined ? undefined : await this.#keep(record, 0);
    const left = ttl - (clock.mono() - begun);
    if (kept === undefined || signal.aborted || !(left > 0)) {
      if (kept === undefined) logUnkept(key, this.#host);
      await claim.release();
      return kept === undefined ? value : kept.value;
    }
    const revision = await claim.write(text!, left + stale);
    if (revision !== undefined) {
      fill?.keep({ ...kept, revision }, left);
      // Without it the value is only taken for stale too early.
      if (stale > 0) await shelf.overwrite(shelf.keyOf("mark", key), "{}", left, false).catch(() => {});
    }
    return kept.value;
  }

  async #keep(record: CacheRecord, revision: number): Promise<Kept<V> | undefined> {
    const text = encodeValue(record);
    if (text === undefined) return undefined;
    // What others will read, and not what was computed.
    const { value } = JSON.parse(text) as { readonly value: unknown };
    return await this.#host.shelf.keep({ ...record, value }, revision, text.length);
  }

  /** What there is without the store: a value that was kept near. */
  #without(key: string, cause: unknown): V | undefined {
    const value = this.#host.near?.get(key, true);
    if (value !== undefined) this.#host.counts.near++;
    else if (!this.#host.through) throw cause;
    return value;
  }
}
