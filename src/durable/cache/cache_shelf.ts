import { CatgaError, faultOf, systemFault } from "../../result.ts";
import { isTrusted, type Schema } from "../../schema.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import { snapshot } from "../../internal/snapshot.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, PutOptions, RevisionConflict, Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import { type CacheEntry, type CacheRecord, decodeEntry, encodeClaim } from "./cache_record.ts";

/** What a shelf stands on. */
export interface ShelfHost<V> {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly namespace: string;
  readonly value: Schema<unknown, V>;
  readonly patience: number;
  readonly longest: number;
  poisoned(): void;
}

/** A value that is kept. */
export interface Kept<V> {
  readonly value: V;
  readonly revision: number;
  readonly tags: readonly string[];
  /** What was invalidated under a higher revision is not good any more. */
  readonly since: number;
  /** About how many bytes it takes; `undefined` for one that may not be handed to several. */
  readonly size: number | undefined;
}

/** What there is under a key: nothing that is good, the claim of somebody who computes it, or a value. */
export type Found<V> =
  | { readonly type: "none"; readonly expected: number | "absent" }
  | { readonly type: "claim"; readonly id: string; readonly revision: number }
  | { readonly type: "value"; readonly kept: Kept<V>; readonly fresh: boolean };

/** How often the store is asked for what has to be done, and how long to wait after the first time, in ms. */
const TRIES = 3;
const TURNS = 16;
const DELAY = 10;
/** How much longer the word of a tag stays than any value, since clocks drift apart. */
const DRIFT = 0.01;

/** What a cache has to do with the store. */
export class CacheShelf<V> {
  /** What all its keys begin with: no namespace's with those of another. */
  readonly prefix: string;
  readonly #host: ShelfHost<V>;

  constructor(host: ShelfHost<V>) {
    this.#host = host;
    this.prefix = `cache/${host.namespace.length}:${host.namespace}/`;
  }

  /** The key in the store of a value, of the mark that it is fresh, or of a tag. No such key begins with another. */
  keyOf(kind: "value" | "mark" | "tag", name: string): string {
    return `${this.prefix}${kind}/${name.length}:${name}`;
  }

  get(key: string, signal?: AbortSignal): Promise<Entry | undefined> {
    return this.#ask(signal, (signal) => this.#host.store.get(key, { signal }));
  }

  put(key: string, text: string, options: Omit<PutOptions, "signal">): Promise<number> {
    return this.#ask(undefined, (signal) => this.#host.store.put(key, text, { ...options, signal }));
  }

  delete(key: string, expected?: number): Promise<void> {
    return this.#ask(undefined, (signal) => this.#host.store.delete(key, { expected, signal }));
  }

  /** What there is under a key that is good: what does not fit or was invalidated is not. */
  async read(key: string, signal?: AbortSignal): Promise<Found<V>> {
    const entry = await this.get(this.keyOf("value", key), signal);
    if (entry === undefined) return { type: "none", expected: "absent" };
    const { revision } = entry;
    const found = this.#decode(key, entry);
    if (found === undefined) return { type: "none", expected: revision };
    if (found.type === "claim") return { type: "claim", id: found.id, revision };
    const { tags, since = revision, marked } = found.record;
    const [mark, ...words] = await Promise.all([
      marked ? this.get(this.keyOf("mark", key), signal) : undefined,
      ...tags.map((tag) => this.get(this.keyOf("tag", tag), signal)),
    ]);
    if (words.some((word) => word !== undefined && word.revision > since)) {
      return { type: "none", expected: revision };
    }
    const kept = await this.keep(found.record, revision, entry.value.length);
    if (kept === undefined) this.#poisoned(key, "it does not fit its schema");
    return kept === undefined
      ? { type: "none", expected: revision }
      : { type: "value", kept, fresh: !marked || mark !== undefined };
  }

  /** A value as it is handed out; `undefined` if it does not fit. */
  async keep(
    { value, tags, since }: CacheRecord,
    revision: number,
    length: number,
  ): Promise<Kept<V> | undefined> {
    let checked = value as V;
    if (!isTrusted(this.#host.value)) {
      const result = await this.#host.value["~standard"].validate(value);
      if (result.issues !== undefined) return undefined;
      checked = result.value;
    }
    const copy = snapshot(checked, Infinity);
    return {
      value: copy === undefined ? checked : copy.value as V,
      revision,
      tags,
      since: since ?? revision,
      size: copy && copy.size + 2 * length,
    };
  }

  /**
   * Keeps a text whatever is there, but over nothing that comes later; answers its revision.
   *
   * @param claimed whether a claim goes before it where there is nothing: a request that arrives long after it was given
   * up then finds no place
   */
  async overwrite(key: string, text: string, ttl: number, claimed: boolean): Promise<number> {
    const { random } = this.#host.runtime;
    let expected: number | "absent" | undefined;
    for (let turns = 1, failures = 0;; turns++) {
      try {
        const entry = expected === undefined ? await this.get(key) : undefined;
        expected ??= entry?.revision ?? "absent";
        if (claimed && expected === "absent") {
          const claim = encodeClaim([random.u32(), random.u32()].map((part) => part.toString(36)).join("-"));
          expected = await this.put(key, claim, { expected, ttl: this.#host.patience });
        }
        return await this.put(key, text, { expected, ttl });
      } catch (thrown) {
        const { code, data, retryable } = faultOf(thrown);
        if (code === "CONFLICT" ? turns >= TURNS : !retryable || ++failures >= TRIES) throw thrown;
        // After an answer that was lost, what is there decides.
        expected = code === "CONFLICT" ? (data as RevisionConflict).found : undefined;
        if (retryable) await this.rest(failures);
      }
    }
  }

  /** Lets an entry go. */
  drop(key: string): Promise<void> {
    return this.#persist(() => this.delete(key));
  }

  /** Says that everything with a tag was invalidated. */
  async touch(tag: string): Promise<void> {
    const ttl = this.#host.longest * (1 + DRIFT);
    await this.#persist(() => this.put(this.keyOf("tag", tag), "", { ttl }));
  }

  /** Waits a little after the store has failed so many times in a row. */
  rest(failures: number): Promise<void> {
    const { runtime: { clock, random }, patience } = this.#host;
    return sleep(clock, backoff(failures, DELAY, patience, random.u32()));
  }

  async #persist<T>(work: () => Promise<T>): Promise<T> {
    for (let failures = 1;; failures++) {
      try {
        return await work();
      } catch (thrown) {
        if (!faultOf(thrown).retryable || failures >= TRIES) throw thrown;
        await this.rest(failures);
      }
    }
  }

  #decode(key: string, { value }: Entry): CacheEntry | undefined {
    try {
      return decodeEntry(value);
    } catch (thrown) {
      this.#poisoned(key, thrown instanceof Error ? thrown.message : String(thrown));
      return undefined;
    }
  }

  #poisoned(key: string, why: string): void {
    const { runtime, namespace } = this.#host;
    this.#host.poisoned();
    runtime.log({
      level: "warn",
      event: "cache.poisoned",
      message: `What is kept under "${key}" in "${namespace}" is no value: ${why}`,
      fields: { key, namespace },
    });
  }

  async #ask<T>(signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime: { clock }, patience } = this.#host;
    return await askStore({ clock, limit: patience, signal }, ask);
  }
}

/** Refuses names that no key can be made of. Throws `VALIDATION`. */
export function checkName(what: string, name: string): void {
  if (name.length > 0 && name.isWellFormed()) return;
  const message = `Cannot use ${
    JSON.stringify(name)
  } as ${what} of a cache: it must be well-formed and not empty`;
  throw new CatgaError(systemFault("VALIDATION", message));
}
