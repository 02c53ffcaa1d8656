import type {
  Change,
  DeleteOptions,
  Entry,
  GetOptions,
  ListOptions,
  PutOptions,
  Store,
  WatchOptions,
} from "../ports/store.ts";
import { checkAfter, checkKey, checkLimit, checkPut, storeCancelled } from "../ports/store_faults.ts";
import { revisionOf } from "../ports/written.ts";
import { ChangeFeed } from "../internal/change_feed.ts";
import type { Life } from "./life.ts";
import type { StoreServer } from "./store_server.ts";

/** One life of a node's way to a simulated store. */
export class StoreClient implements Store {
  readonly durability = "process";
  readonly #server: StoreServer;
  readonly #life: Life;

  constructor(server: StoreServer, life: Life) {
    this.#server = server;
    this.#life = life;
  }

  get(key: string, { signal }: GetOptions = {}): Promise<Entry | undefined> {
    const server = this.#server;
    return this.#ask(`get "${key}"`, signal, () => checkKey(key), () => server.table.get(server.now, key));
  }

  put(key: string, value: string, { expected, ttl, signal }: PutOptions = {}): Promise<number> {
    const server = this.#server;
    const what = `put "${key}"`;
    return this.#ask(what, signal, () => checkPut(key, value, ttl), () => {
      const revision = revisionOf(what, expected, server.table.put(server.now, key, value, expected, ttl));
      if (ttl !== undefined) server.arm(key, ttl);
      return revision;
    });
  }

  delete(key: string, { expected, signal }: DeleteOptions = {}): Promise<void> {
    const server = this.#server;
    const what = `delete "${key}"`;
    return this.#ask(what, signal, () => checkKey(key), () => {
      revisionOf(what, expected, server.table.delete(server.now, key, expected));
    });
  }

  list(prefix: string, { after, limit = 1000, signal }: ListOptions = {}): Promise<readonly Entry[]> {
    const server = this.#server;
    const check = (): void => {
      checkLimit(limit);
      checkAfter(after);
    };
    return this.#ask(
      `list "${prefix}"`,
      signal,
      check,
      () => server.table.list(server.now, prefix, limit, after),
    );
  }

  async *watch(prefix: string, { signal }: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    if (signal?.aborted) return;
    const feed = new ChangeFeed<Entry>();
    const unsubscribe = this.#server.subscribe(this.#life, prefix, feed);
    const end = (): void => {
      feed.end();
      unsubscribe();
    };
    signal?.addEventListener("abort", end, { once: true });
    try {
      yield* feed.read();
    } finally {
      signal?.removeEventListener("abort", end);
      unsubscribe();
    }
  }

  #ask<T>(what: string, signal: AbortSignal | undefined, check: () => void, work: () => T): Promise<T> {
    // What is asked of a dead node is never answered.
    if (!this.#life.alive) return new Promise(() => {});
    if (signal?.aborted) return Promise.reject(storeCancelled(what));
    return new Promise((resolve, reject) => {
      check();
      const abort = (): void => reject(storeCancelled(what));
      signal?.addEventListener("abort", abort, { once: true });
      this.#server.request(this.#life, what, work)
        .finally(() => signal?.removeEventListener("abort", abort))
        .then(resolve, reject);
    });
  }
}
