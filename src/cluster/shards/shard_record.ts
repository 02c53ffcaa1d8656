import type { Entry } from "../../ports/store.ts";

/** What the names of all records of shards begin with. */
export const RECORDS = "shards/of/";
/** What the names of the leases begin with that nodes hold shards by. */
export const SESSIONS = "shards/by/";

/** Who owns a shard, as the store says; the entry's revision is the fencing token. */
export interface ShardRecord {
  /** The node's name. */
  readonly owner: string;
  /** The key of the lease that the ownership ends with. */
  readonly session: string;
}

/** Where the record of a shard is kept. */
export function keyOfShard(group: string, index: number): string {
  return `${RECORDS}${group}/${index}`;
}

/** Which shard is kept under a key; `undefined` for no such key. */
export function shardOfKey(key: string): { readonly group: string; readonly index: number } | undefined {
  const [, group, digits] = /^shards\/of\/(.+)\/(\d{1,4})$/.exec(key) ?? [];
  return group === undefined ? undefined : { group, index: Number(digits) };
}

/** The record in an entry; `undefined` if it is none. */
export function recordOfShard({ value }: Entry): ShardRecord | undefined {
  try {
    const { owner, session } = JSON.parse(value) as Partial<ShardRecord>;
    return typeof owner === "string" && typeof session === "string" ? { owner, session } : undefined;
  } catch {
    return undefined;
  }
}
