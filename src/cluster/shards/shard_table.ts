import { follow } from "../../durable/follow.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { recordOfShard, RECORDS, type ShardRecord } from "./shard_record.ts";

/** A record of a shard and its revision. */
export interface FollowedRecord extends ShardRecord {
  readonly revision: number;
}

/** The records of all shards, followed in the store. */
export class ShardTable {
  readonly #changed: (key: string, record: FollowedRecord | undefined) => void;
  readonly #records: Map<string, FollowedRecord> = new Map();
  readonly #closed: AbortController = new AbortController();

  /** @param changed called for each record that is another or gone */
  constructor(
    store: Store,
    runtime: Runtime,
    changed: (key: string, record: FollowedRecord | undefined) => void,
  ) {
    this.#changed = changed;
    const { signal } = this.#closed;
    const take = (key: string, entry: Entry | undefined): void => this.#take(key, entry);
    const failed = (cause: unknown): void => {
      const message =
        "The owners of shards cannot be followed in the store just now; what is known of them may be old";
      runtime.log({ level: "warn", event: "shards.unfollowed", message, fields: { cause } });
    };
    runtime.background(follow(RECORDS, { store, runtime, signal, take, failed }));
  }

  get(key: string): FollowedRecord | undefined {
    return this.#records.get(key);
  }

  close(): void {
    this.#closed.abort();
  }

  #take(key: string, entry: Entry | undefined): void {
    const found = entry && recordOfShard(entry);
    const record = found && { ...found, revision: entry.revision };
    if (record === undefined) this.#records.delete(key);
    else this.#records.set(key, record);
    this.#changed(key, record);
  }
}
