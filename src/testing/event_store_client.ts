import type {
  Appended,
  AppendOptions,
  ChangedOptions,
  EventStore,
  EventStoreOptions,
  NewEvent,
  ReadAllOptions,
  ReadOptions,
  StoredEvent,
} from "../ports/event_store.ts";
import {
  checkAppend,
  checkChanged,
  checkFind,
  checkRead,
  checkReadAll,
  isExpected,
  versionConflict,
} from "../ports/event_store_faults.ts";
import { CatgaError, systemFault } from "../result.ts";
import { storeCancelled } from "../ports/store_faults.ts";
import type { EventStoreServer } from "./event_store_server.ts";
import type { Life } from "./life.ts";

/** One life of a node's way to a simulated event store. */
export class EventStoreClient implements EventStore {
  readonly #server: EventStoreServer;
  readonly #life: Life;

  constructor(server: EventStoreServer, life: Life) {
    this.#server = server;
    this.#life = life;
  }

  append(
    stream: string,
    events: readonly NewEvent[],
    { expected = "any", signal }: AppendOptions = {},
  ): Promise<Appended> {
    const server = this.#server;
    const what = `append to "${stream}"`;
    return this.#ask(what, signal, () => checkAppend(stream, events, expected), () => {
      const came = server.table.append(
        server.now,
        stream,
        events,
        (version) => isExpected(expected, version),
      );
      if (came.type === "conflict") throw versionConflict(what, expected, came.found);
      if (came.type === "full") {
        throw new CatgaError(systemFault("OVERLOADED", `Cannot ${what}: the event store is full`));
      }
      server.appended();
      return { version: came.version, position: came.position };
    });
  }

  read(stream: string, options: ReadOptions = {}): Promise<readonly StoredEvent[]> {
    const { from, limit = 1000, backward = false, signal } = options;
    const server = this.#server;
    return this.#ask(
      `read "${stream}"`,
      signal,
      () => checkRead(stream, from, limit),
      () => server.page(server.table.read(stream, from, limit, backward)),
    );
  }

  find(stream: string, id: string, { signal }: EventStoreOptions = {}): Promise<StoredEvent | undefined> {
    const server = this.#server;
    return this.#ask(
      `find "${id}" in "${stream}"`,
      signal,
      () => checkFind(stream, id),
      () => server.table.find(stream, id),
    );
  }

  readAll({ after = 0, limit = 1000, signal }: ReadAllOptions = {}): Promise<readonly StoredEvent[]> {
    const server = this.#server;
    return this.#ask(
      `read all after ${after}`,
      signal,
      () => checkReadAll(after, limit),
      () => server.page(server.table.readAll(after, limit)),
    );
  }

  head({ signal }: EventStoreOptions = {}): Promise<number> {
    const server = this.#server;
    return this.#ask("read the head", signal, () => {}, () => server.table.head);
  }

  async changed(after: number, { wait, signal }: ChangedOptions): Promise<void> {
    const server = this.#server;
    await this.#ask(
      `wait after ${after}`,
      signal,
      () => checkChanged(after, wait),
      () => ({ over: server.wait(this.#life, after, wait) }),
    ).then(({ over }) => this.#until(over, signal));
    // Word of it takes its way back, and may be lost.
    await this.#ask(`hear of ${after}`, signal, () => {}, () => undefined);
  }

  #until(over: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(storeCancelled("wait for events"));
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort, { once: true });
      void over.finally(() => signal?.removeEventListener("abort", abort)).then(resolve);
    });
  }

  #ask<T>(what: string, signal: AbortSignal | undefined, check: () => void, work: () => T): Promise<T> {
    // What is asked of a dead node is never answered.
    if (!this.#life.alive) return new Promise(() => {});
    if (signal?.aborted) return Promise.reject(storeCancelled(what));
    return new Promise((resolve, reject) => {
      check();
      const abort = (): void => reject(storeCancelled(what));
      signal?.addEventListener("abort", abort, { once: true });
      this.#server.ways.request(this.#life, what, work)
        .finally(() => signal?.removeEventListener("abort", abort))
        .then(resolve, reject);
    });
  }
}
