/**
 * What outlasts a process, over any storage: records with outbox and inbox, idempotent commands, sagas, event sourcing,
 * schedules, dead letters, locks, a cache, a rate limiter, and the leases that all of them stand on.
 *
 * @example
 * ```ts
 * import { acquireLease } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock });
 * const lease = await acquireLease("leases/mail", { store, runtime, owner: "node-1", ttl: 3000 });
 * lease.signal.addEventListener("abort", () => console.log("stop:", lease.signal.reason.message));
 * await lease.release();
 * ```
 *
 * @module
 */
export { acquireLease, type Lease, type LeaseOptions } from "./lease.ts";
export { type LeaseHolder, leaseHolder } from "./lease_record.ts";
export type {
  CacheCallOptions,
  CacheOptions,
  CacheStats,
  CachingOptions,
  Compute,
  Computed,
  DistributedCache,
  NearCacheOptions,
} from "./cache/cache_types.ts";
export { createCache } from "./cache/distributed_cache.ts";
export { createLocks, type LockOptions, type Locks, type LocksOptions } from "./lock.ts";
export {
  createRateLimiter,
  type RateCall,
  type RateDecision,
  type RateLimiter,
  type RateLimiterOptions,
} from "./rate_limiter.ts";
export { rateLimited, type RateLimitedOptions } from "./rate_limiter_behavior.ts";
export type { RateLimit } from "./rate_limiter_measure.ts";
export { leaseWorker, type WorkerLease, type WorkerOptions } from "./worker_id.ts";
export { type Inbox, inbox, type InboxOptions } from "./records/inbox.ts";
export {
  type GetRecordOptions,
  type Records,
  records,
  type RecordsOptions,
  type UpdateOptions,
} from "./records/records.ts";
export { type Relay, type RelayBacklog, type RelayOptions, startRelay } from "./records/relay.ts";
export type { Cause, TellOptions, Transaction } from "./records/transaction.ts";
export type { DoneMarks } from "./consumer.ts";
export { handlePushed, type HandlePushedOptions, type PushedDelivery } from "./consumer_pushed.ts";
export type { IdempotencyOptions } from "./idempotency/idempotency.ts";
export { idempotent } from "./idempotency/idempotent.ts";
export { deadLetters } from "./dead_letters.ts";
export { type DeliveryName, deliveryName } from "./dead_letters_name.ts";
export type {
  DeadLetter,
  DeadLetterContent,
  DeadLetterFilter,
  DeadLetterPage,
  DeadLetters,
  DeadLettersOptions,
  ListDeadLetters,
  NewDeadLetter,
  OpenedDeadLetter,
  ReplayOptions,
} from "./dead_letters_types.ts";
export { type Decider, decider, type DecisionFacts, type FaultIn } from "./events/decider.ts";
export {
  type EventSourced,
  eventSourced,
  type EventSourcedOptions,
  type Executed,
  type ExecuteOptions,
  type HistoryOptions,
  type Loaded,
  type LoadOptions,
} from "./events/event_sourced.ts";
export {
  type DataOf,
  type EventFacts,
  type EventOf,
  type EventTypes,
  type Recorded,
  type SourcedEvent,
  type Upcast,
  versioned,
  type VersionedOptions,
  type VersionedType,
} from "./events/event_types.ts";
export type { SnapshotOptions } from "./events/snapshots.ts";
export type { SagaListOptions, SagaState, SagaStepState } from "./saga/manage.ts";
export {
  type BranchResults,
  type KeptFault,
  type LimitedWaitOptions,
  saga,
  type SagaContext,
  type SagaDefinition,
  type SagaFunction,
  type SagaOptions,
  type StepOptions,
  type WaitOptions,
} from "./saga/saga.ts";
export type { SagaStatus } from "./saga/saga_record.ts";
export { createSagas, type Sagas, type SagasOptions } from "./saga/sagas.ts";
export type { SagaTally } from "./saga/tally.ts";
export { type Cron, cron, type CronOptions } from "./schedule/cron.ts";
export type { Schedulable } from "./schedule/schedule_entry.ts";
export type { Scheduled } from "./schedule/scheduled.ts";
export type {
  CronScheduleOptions,
  ScheduledOptions,
  ScheduleOptions,
  Schedules,
} from "./schedule/schedule_types.ts";
export { schedules, type SchedulesOptions } from "./schedule/schedules.ts";
export {
  type Deliver,
  type DeliverOptions,
  type Scheduler,
  type SchedulerBacklog,
  type SchedulerOptions,
  startScheduler,
} from "./schedule/scheduler.ts";
export {
  type EffectProjectionOptions,
  type HandlingFacts,
  type Projection,
  type ProjectionLag,
  type ProjectionOptions,
  type ProjectionStatus,
  type ReachedOptions,
  startProjection,
} from "./events/projection.ts";
export {
  type ReadModel,
  type ReadModelListOptions,
  type ReadModelOptions,
  type ReadModelReadOptions,
  type ReadModelRow,
  startReadModel,
} from "./events/read_model.ts";
export type { EventsOf, Sources } from "./events/sources.ts";
export { subscribeEvents, type SubscribeEventsOptions } from "./events/subscribe_events.ts";
export {
  type Replication,
  type ReplicationLag,
  type ReplicationOptions,
  type ReplicationStats,
  startReplication,
} from "./replication.ts";
