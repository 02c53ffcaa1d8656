import { backoff } from "../../src/internal/backoff.ts";
import { sleep } from "../../src/internal/sleep.ts";
import type { BackendHost } from "../../src/ports/backend.ts";
import type { Entry, Store } from "../../src/ports/store.ts";
import type { Peer } from "../../src/ports/transport.ts";
import { RegistryView } from "./registry_view.ts";

/** What the keys of nodes begin with. */
const PREFIX = "nodes/";
/** How long a node is listed after it was last heard of, in ms. */
const TTL = 30_000;
/** How long to wait after the first failure, in ms: twice as long each time, up to a part of the time to live. */
const DELAY = 50;
/** How many entries are read at a time. */
const PAGE = 2048;

/** What {@linkcode natsRegistry} takes. */
export interface NatsRegistryOptions {
  /** How long a node is listed after it was last heard of, in ms by the store's clock: at least 100. @default 30000 */
  readonly ttl?: number | undefined;
}

/** The endpoints of a cluster's nodes. Disposing it strikes this node off. */
export interface NatsRegistry extends AsyncDisposable {
  /** The other nodes that are listed just now, at most 1,024; the same array until that changes. */
  seeds(): readonly Peer[];
  /** Settles when the list was read for the first time, or that has failed. Never rejects. */
  readonly ready: Promise<void>;
}

/**
 * Lists a node with the others of its cluster, as an entry of the store that it renews and that goes when it no longer
 * does, and hears of theirs. Who is alive is for the membership to judge. While the store cannot be reached, what was known last stays.
 */
export function natsRegistry(
  store: Store,
  host: BackendHost,
  options: NatsRegistryOptions = {},
): NatsRegistry {
  const { ttl = TTL } = options;
  if (!(ttl >= 100 && ttl < Infinity)) throw new RangeError(`ttl must be 100 ms or more, not ${ttl}`);
  return new StoreRegistry(store, host, ttl);
}

class StoreRegistry implements NatsRegistry {
  readonly ready: Promise<void>;
  readonly #store: Store;
  readonly #host: BackendHost;
  readonly #ttl: number;
  readonly #key: string;
  readonly #view: RegistryView;
  readonly #closed: AbortController = new AbortController();
  readonly #working: Promise<unknown>;
  #settle: () => void = () => {};
  #struck: () => void = () => {};
  #revision: number | undefined;
  #failing = false;

  constructor(store: Store, host: BackendHost, ttl: number) {
    this.#store = store;
    this.#host = host;
    this.#ttl = ttl;
    this.#key = PREFIX + host.self.id;
    this.#view = new RegistryView(host);
    this.ready = new Promise((resolve) => this.#settle = resolve);
    this.#working = Promise.all([this.#announce(), this.#listen(), this.#rescan()]);
    host.runtime.background(this.#working);
  }

  seeds(): readonly Peer[] {
    return this.#view.peers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#settle();
    await this.#working;
    // One that took its place stays.
    const revision = this.#revision;
    if (revision !== undefined) await this.#store.delete(this.#key, { expected: revision }).catch(() => {});
  }

  /** Writes this node's entry at each third of its time, and as soon as it is found missing. */
  async #announce(): Promise<void> {
    const { signal } = this.#closed;
    const value = JSON.stringify({ endpoint: this.#host.self.endpoint });
    for (let failures = 0; !signal.aborted;) {
      const early = new AbortController();
      const wake = (): void => early.abort();
      this.#struck = wake;
      try {
        this.#revision = await this.#store.put(this.#key, value, { ttl: this.#ttl, signal });
        failures = 0;
        this.#well();
      } catch (thrown) {
        failures++;
        this.#failed("list this node", thrown);
      }
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted) wake();
      await this.#rest(failures === 0 ? undefined : failures, early.signal);
      signal.removeEventListener("abort", wake);
    }
  }

  /** Hears of changes; begins again where that breaks off. */
  async #listen(): Promise<void> {
    const { signal } = this.#closed;
    for (let failures = 1; !signal.aborted; failures++) {
      const told = new Map<string, Entry>();
      let ready = false;
      try {
        for await (const change of this.#store.watch(PREFIX, { signal })) {
          failures = 0;
          if (change.type === "put") {
            if (ready) this.#view.put(idOf(change.entry), change.entry);
            else told.set(change.entry.key, change.entry);
          } else if (change.type === "delete") {
            told.delete(change.key);
            if (ready) this.#view.delete(change.key.slice(PREFIX.length), change.revision);
            if (change.key === this.#key && change.revision > (this.#revision ?? Infinity)) this.#struck();
          } else {
            ready = true;
            this.#view.replace([...told.values()].map((entry) => [idOf(entry), entry]), this.#view.mark());
            told.clear();
            this.#settle();
          }
        }
      } catch (thrown) {
        if (!signal.aborted) this.#failed("hear of the other nodes", thrown);
        this.#settle();
      }
      await this.#rest(failures, signal);
    }
  }

  /** Reads the whole list now and then, in case a change was not heard. */
  async #rescan(): Promise<void> {
    const { signal } = this.#closed;
    const { clock } = this.#host.runtime;
    for (;;) {
      await sleep(clock, this.#ttl / 2, signal);
      if (signal.aborted) return;
      const before = this.#view.mark();
      try {
        const listed = await this.#store.list(PREFIX, { limit: PAGE, signal });
        if (listed.length < PAGE) this.#view.replace(listed.map((entry) => [idOf(entry), entry]), before);
      } catch (thrown) {
        if (!signal.aborted) this.#failed("list the other nodes", thrown);
      }
    }
  }

  #rest(failures: number | undefined, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#host.runtime;
    const third = this.#ttl / 3;
    return sleep(
      clock,
      failures === undefined ? third : backoff(failures, DELAY, third, random.u32()),
      signal,
    );
  }

  #failed(what: string, thrown: unknown): void {
    if (this.#failing || this.#closed.signal.aborted) return;
    this.#failing = true;
    this.#say("warn", "registry.failed", `cannot ${what}, and keeps what it knows: ${reasonOf(thrown)}`);
  }

  #well(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#say("info", "registry.recovered", `is listed again and knows ${this.#view.peers.length} others`);
  }

  #say(level: "warn" | "info", event: string, what: string): void {
    const node = this.#host.self.id;
    const message = `Node "${node}" ${what}`;
    this.#host.runtime.log({ level, event, message, fields: { node, known: this.#view.peers.length } });
  }
}

function idOf({ key }: Entry): string {
  return key.slice(PREFIX.length);
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
