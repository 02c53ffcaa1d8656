import type { Kind } from "./message.ts";
import type { Router } from "./route.ts";

/** What holds for every message of a contract, on every node. */
export interface Policy<In> {
  /** Messages with one key go to one node, where the router looks at it. */
  readonly key?: ((body: In) => string) | undefined;
  /** The longest a call may take, in ms above 0, from the caller's side; for a stream, all of it. */
  readonly timeout?: number | undefined;
  /** Sending it twice does no harm, so a call that may have started can run again elsewhere. Queries always are. */
  readonly idempotent?: boolean | undefined;
  /**
   * After how many ms without an answer a query, or what is idempotent, is asked of a second node as well; the first
   * answer counts. At most about a tenth of the calls are.
   */
  readonly hedge?: number | undefined;
  /** Picks the node; the cluster's own router if left out. */
  readonly route?: Router | undefined;
  /** Lets one node own all messages of a key at a time; for commands and queries, and instead of `key`, `hedge`, `route`. */
  readonly shard?: ShardPolicy<In> | undefined;
  /** Keeps answers of a query on the node that asked, as frozen copies; each tenant has its own. */
  readonly cache?: CachePolicy<In> | undefined;
  /** Queries whose kept answers are let go, on every node, when a command has succeeded. */
  readonly invalidates?: readonly { readonly type: string }[] | undefined;
  /** One line for a person, shown in generated documents. */
  readonly summary?: string | undefined;
}

/** How messages are given to the shards that nodes own. */
export interface ShardPolicy<In> {
  /** What tells shards apart, such as the id of what the message is about; asked on both sides of a call. */
  readonly key: (body: In) => string;
  /** How many shards there are, 1 to 4096: some ten for each node that there will ever be. It cannot change later. */
  readonly count: number;
  /**
   * Contracts of one group share their shards, so that one node owns all that is done to a key. A node that serves one
   * of them should serve all, and their counts are the same. @default the contract's name
   */
  readonly group?: string | undefined;
}

/** How long answers of a query are kept. */
export interface CachePolicy<In> {
  /** How long an answer holds, in ms. */
  readonly ttl: number;
  /** What tells bodies apart; all of a body, whatever the order of its properties, if left out. */
  readonly key?: ((body: In) => string) | undefined;
  /** How long after that the old answer is still given while a new one is fetched, in ms. @default 0 */
  readonly staleWhileRevalidate?: number | undefined;
}

const NAME = /^[A-Za-z][\w.:-]{0,127}$/;
const SHARDS = 4096;

/** Whether a text can name a kind of message. */
export function isMessageName(text: string): boolean {
  return NAME.test(text);
}

/** Throws a `RangeError` for a policy that cannot hold. */
export function checkPolicy(
  kind: Kind,
  type: string,
  { timeout, cache, shard, ...policy }: Policy<never>,
): void {
  const { hedge } = policy;
  for (const [name, ms] of Object.entries({ timeout, hedge, "cache.ttl": cache?.ttl })) {
    if (ms !== undefined && !(ms > 0)) refuse(type, `${name} is ${ms}, but must be above 0 ms`);
  }
  if (shard === undefined) return;
  const { count, group } = shard;
  if (kind !== "command" && kind !== "query") refuse(type, "only commands and queries have shards");
  for (const name of ["key", "hedge", "route"] as const) {
    if (policy[name] !== undefined) {
      refuse(type, `only its shard's owner handles it, so it has no ${name} of its own`);
    }
  }
  if (!(Number.isSafeInteger(count) && count >= 1 && count <= SHARDS)) {
    refuse(type, `shard.count is ${count}, but must be a whole number from 1 to ${SHARDS}`);
  }
  if (group !== undefined && !isMessageName(group)) {
    refuse(type, `shard.group is "${group}", which is no name`);
  }
}

function refuse(type: string, why: string): never {
  throw new RangeError(`Cannot define "${type}": ${why}`);
}
