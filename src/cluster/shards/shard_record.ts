import type { Entry } from "../../ports/store.ts";
import { isNodeName } from "../record.ts";

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
  const [, group, digits] = /^shards\/of\/(.+)\/(0|[1-9]\d{0,3})$/.exec(key) ?? [];
  return group === undefined ? undefined : { group, index: Number(digits) };
}

/** The record in an entry; `undefined` if it is none. */
export function recordOfShard({ value }: Entry): ShardRecord | undefined {
  try {
    const { owner, session } = JSON.parse(value) as Partial<ShardRecord>;
    return isNodeName(owner) && isSession(session) ? { owner, session } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a text can be the key of a lease that shards are held by. */
function isSession(text: unknown): text is string {
  return typeof text === "string" && text.startsWith(SESSIONS) && text.length <= 512;
}
