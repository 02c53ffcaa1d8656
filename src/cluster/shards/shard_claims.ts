import { CatgaError } from "../../result.ts";
import type { Clock } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { askStore } from "../../durable/ask_store.ts";
import { recordOfShard, type ShardRecord } from "./shard_record.ts";

/** How a node takes shards and gives them back, under one lease. */
export class ShardClaims {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #record: ShardRecord;
  readonly #over: Map<string, Promise<boolean>> = new Map();

  /** @param limit the longest one request may take, in ms */
  constructor(store: Store, clock: Clock, limit: number, record: ShardRecord) {
    this.#store = store;
    this.#clock = clock;
    this.#limit = limit;
    this.#record = record;
  }

  /**
   * Takes a shard where the store has nothing, or the revision of an owner whose lease is over. Answers the fencing
   * token; `undefined` when it is somebody else's, or was this node's for as long as anybody knows.
   */
  async take(key: string, over: number | undefined): Promise<number | undefined> {
    const value = JSON.stringify(this.#record);
    try {
      return await this.#ask((signal) => this.#store.put(key, value, { expected: over ?? "absent", signal }));
    } catch (thrown) {
      // It may be written all the same, now or by an earlier try, or be no record at all: what is there decides.
      if (!CatgaError.is(thrown) || (thrown.code !== "TRANSPORT" && thrown.code !== "CONFLICT")) throw thrown;
      const entry = await this.#read(key);
      if (entry === undefined || !(this.#isMine(entry) || recordOfShard(entry) === undefined)) {
        return undefined;
      }
      // Once it is written anew, nothing that is still on its way can take it away.
      return await this.#ask((signal) => this.#store.put(key, value, { expected: entry.revision, signal }));
    }
  }

  /** Gives a shard back, if the store says that it is this node's. */
  async giveBack(key: string): Promise<void> {
    const entry = await this.#read(key);
    if (!this.#isMine(entry)) return;
    await this.#ask((signal) => this.#store.delete(key, { expected: entry.revision, signal }));
  }

  /** Whether the lease of another owner is over, as far as this heartbeat has looked. */
  isOver(session: string): Promise<boolean> {
    let over = this.#over.get(session);
    if (over === undefined) {
      over = this.#read(session).then((entry) => entry === undefined);
      this.#over.set(session, over);
    }
    return over;
  }

  /** A heartbeat has passed. */
  tick(): void {
    this.#over.clear();
  }

  #isMine(entry: Entry | undefined): entry is Entry {
    return entry !== undefined && recordOfShard(entry)?.session === this.#record.session;
  }

  #read(key: string): Promise<Entry | undefined> {
    return this.#ask((signal) => this.#store.get(key, { signal }));
  }

  #ask<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return askStore({ clock: this.#clock, limit: this.#limit, signal: undefined }, ask);
  }
}
