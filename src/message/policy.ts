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
  /** How a reliable event reaches its handlers. */
  readonly delivery?: DeliveryPolicy | undefined;
  /** Lets a command that comes again get the first answer instead of happening again; it is then idempotent too. */
  readonly idempotency?: IdempotencyPolicy<In> | undefined;
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

/** How a reliable event reaches its handlers. */
export interface DeliveryPolicy {
  /**
   * 1: each handler succeeds at least once. 2: an event that comes again within the window of the inbox runs no handler
   * that has succeeded, and what the handler writes through its transaction happens once. @default 1
   */
  readonly qos?: 1 | 2 | undefined;
  /** How long an event of QoS 2 is known again, in ms. @default 86400000 (a day) */
  readonly window?: number | undefined;
  /** Who hears it: one node of each service, or every node. @default "service" */
  readonly to?: "service" | "nodes" | undefined;
  /**
   * How often a handler is tried before the event is put back for later, which is one round; 1 to 100. Only rounds in
   * which it failed count, on all nodes together: not those that a process did not live to end. @default 3
   */
  readonly attempts?: number | undefined;
  /** How long it is put back, in ms, after each round that failed; after the last it is a dead letter. @default [5000, 60000] */
  readonly redeliver?: readonly number[] | undefined;
}

/** How a command is known again. */
export interface IdempotencyPolicy<In> {
  /** What makes two of them the same; all of the body, whatever the order of its properties, if left out. */
  readonly key?: ((body: In) => string) | undefined;
  /** How long an answer is kept, in ms. @default 86400000 (a day) */
  readonly retention?: number | undefined;
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
  { timeout, cache, shard, delivery, idempotency, ...policy }: Policy<never>,
): void {
  const { hedge } = policy;
  const times = {
    timeout,
    hedge,
    "cache.ttl": cache?.ttl,
    "idempotency.retention": idempotency?.retention,
    "delivery.window": delivery?.window,
  };
  for (const [name, ms] of Object.entries(times)) {
    if (ms !== undefined && !(ms > 0)) refuse(type, `${name} is ${ms}, but must be above 0 ms`);
  }
  if (idempotency !== undefined && kind !== "command") refuse(type, "only commands have idempotency");
  if (delivery !== undefined) checkDelivery(kind, type, delivery);
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

function checkDelivery(kind: Kind, type: string, { attempts = 1, redeliver = [] }: DeliveryPolicy): void {
  if (kind !== "reliable") refuse(type, "only reliable events have delivery");
  if (!(Number.isSafeInteger(attempts) && attempts >= 1 && attempts <= 100)) {
    refuse(type, `delivery.attempts is ${attempts}, but must be a whole number from 1 to 100`);
  }
  if (redeliver.length > 100) {
    refuse(type, `delivery.redeliver has ${redeliver.length} entries, but may have 100`);
  }
  const odd = redeliver.find((ms) => !(ms >= 0 && ms < Infinity));
  if (odd !== undefined) refuse(type, `delivery.redeliver has ${odd}, but must have ms of 0 or more`);
}

function refuse(type: string, why: string): never {
  throw new RangeError(`Cannot define "${type}": ${why}`);
}
