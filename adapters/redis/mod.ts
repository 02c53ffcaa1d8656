/**
 * What nodes keep in Redis, by single requests over HTTP or by a client that is there: entries, items for groups,
 * events, and who is where.
 *
 * @module
 */
export type { PollingProfile } from "./budget.ts";
export type { RedisDiscovery } from "./discovery.ts";
export type { PushedItem } from "./push_item.ts";
export { pushReceiver, type PushReceiverOptions } from "./push_receiver.ts";
export type { RefusedItem, RefusedItems } from "./push_refusals.ts";
export { pushRelay, type PushRelayOptions } from "./push_relay.ts";
export type {
  IoRedisLike,
  NodeRedisClusterLike,
  NodeRedisLike,
  RedisClientLike,
  RedisSender,
  UpstashLike,
} from "./ready.ts";
export { redis, type RedisOptions, type RedisStorage, type RedisTarget } from "./redis.ts";
export type { RestTarget } from "./rest.ts";
