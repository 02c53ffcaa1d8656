import { faultOf } from "../../result.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import { decodeEntry, encodeClaim } from "./cache_record.ts";
import type { CacheShelf } from "./cache_shelf.ts";

/** What a claim stands on. */
export interface CacheClaimHost {
  readonly shelf: Pick<CacheShelf<unknown>, "get" | "put" | "delete" | "rest">;
  readonly runtime: Runtime;
  /** How long it lasts after its owner was last heard of, in ms. */
  readonly ttl: number;
}

/** How often the store is asked before it is given up. */
const TRIES = 3;

/**
 * The claim to compute a value, as an entry in its place that goes of itself unless it is renewed. The value is written
 * over the claim alone, so what was set or invalidated meanwhile is never covered by what was read before it (the
 * leases of Nishtala and others, "Scaling Memcache at Facebook", 2013).
 */
export class CacheClaim {
  /** The revision of its first writing. */
  readonly since: number;
  readonly #host: CacheClaimHost;
  readonly #key: string;
  readonly #id: string;
  readonly #over: AbortController = new AbortController();
  #revision: number;
  #renewed: Promise<void>;

  constructor(host: CacheClaimHost, key: string, id: string, revision: number) {
    this.#host = host;
    this.#key = key;
    this.#id = id;
    this.since = this.#revision = revision;
    this.#renewed = this.#keep();
    host.runtime.background(this.#renewed);
  }

  /** Claims what is under a key if it still is as expected; `undefined` if it is not. Rejects if the store does. */
  static async take(
    host: CacheClaimHost,
    key: string,
    id: string,
    expected: number | "absent",
  ): Promise<CacheClaim | undefined> {
    const { shelf, ttl } = host;
    try {
      const revision = await shelf.put(key, encodeClaim(id), { expected, ttl });
      return new CacheClaim(host, key, id, revision);
    } catch (thrown) {
      if (faultOf(thrown).code !== "CONFLICT") throw thrown;
      return undefined;
    }
  }

  /** Writes a text in its place and ends it; answers the revision, `undefined` if it was lost or the store fails. */
  write(text: string, ttl: number): Promise<number | undefined> {
    return this.#end(async (expected) => await this.#host.shelf.put(this.#key, text, { expected, ttl }));
  }

  /** Ends it: whoever waits may claim. Never rejects. */
  async release(): Promise<void> {
    await this.#end((expected) => this.#host.shelf.delete(this.#key, expected));
  }

  /** Renews it no longer; it goes when its time is over. */
  leave(): void {
    this.#over.abort();
  }

  async #end<T>(work: (expected: number) => Promise<T>): Promise<T | undefined> {
    this.#over.abort();
    await this.#renewed;
    for (let failures = 0; failures < TRIES; failures++) {
      try {
        if (failures > 0) {
          await this.#host.shelf.rest(failures);
          if (!await this.#isMine()) return undefined;
        }
        return await work(this.#revision);
      } catch {
        // It may be done all the same: what is there decides.
      }
    }
    return undefined;
  }

  async #keep(): Promise<void> {
    const { runtime: { clock }, shelf, ttl } = this.#host;
    const { signal } = this.#over;
    for (let failures = 0; !signal.aborted;) {
      await sleep(clock, failures === 0 ? ttl / 3 : ttl / 10, signal);
      if (signal.aborted) return;
      try {
        if (failures > 0 && !await this.#isMine()) return;
        const text = encodeClaim(this.#id);
        this.#revision = await shelf.put(this.#key, text, { expected: this.#revision, ttl });
        failures = 0;
      } catch {
        failures++;
      }
    }
  }

  async #isMine(): Promise<boolean> {
    const entry = await this.#host.shelf.get(this.#key);
    if (entry === undefined || idOf(entry.value) !== this.#id) return false;
    this.#revision = entry.revision;
    return true;
  }
}

function idOf(text: string): string | undefined {
  try {
    const entry = decodeEntry(text);
    return entry.type === "claim" ? entry.id : undefined;
  } catch {
    return undefined;
  }
}
