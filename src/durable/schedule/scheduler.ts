import { type Fault, faultOf, type Result } from "../../result.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { deadLetters } from "../dead_letters.ts";
import { KeptLease } from "../kept_lease.ts";
import type { Schedulable } from "./schedule_entry.ts";
import type { Schedules } from "./schedule_types.ts";
import { schedulesOf, SOON } from "./schedules.ts";
import { SchedulerTerm } from "./scheduler_term.ts";

/** What accompanies a message that is due. */
export interface DeliverOptions {
  /** Names this firing, the same each time it is tried: `<name>@<time>`. Whoever gets it twice should drop one. */
  readonly id: string;
  /** What it was scheduled with. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  /** Aborts when it takes too long, or another process delivers. */
  readonly signal: AbortSignal;
}

/**
 * Delivers a message that is due, as a node's `send` and `publish` do. When it answers or throws a failure that may heal
 * it is called again, for as long as it takes. After ten other failures, counted by all schedulers together, it is a dead
 * letter of the group `schedules`, in the same store (`deadLetters` lists and replays it), and logged as an error; what
 * happens again and again goes on with its next time.
 */
export type Deliver = (
  message: Schedulable,
  options: DeliverOptions,
) => Promise<Result<unknown, Fault> | void>;

/** What {@linkcode startScheduler} takes. */
export interface SchedulerOptions {
  /** Where what is scheduled is kept. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Who delivers: a name for people, such as that of a node. */
  readonly owner: string;
  /** Delivers a message. */
  readonly deliver: Deliver;
  /** How long after a scheduler was last heard of another takes its place, in ms: at least 100. @default 2000 */
  readonly ttl?: number | undefined;
  /** How often to look for what other processes have scheduled, in ms: at most 5000. @default 1000 */
  readonly poll?: number | undefined;
  /** How many messages are delivered at a time. @default 64 */
  readonly concurrency?: number | undefined;
  /** The longest one delivery may take, in ms; then it counts as failed. @default 30000 */
  readonly timeout?: number | undefined;
  /** Takes a store of which nothing survives; what is scheduled may then be lost. @default false */
  readonly unsafe?: boolean | undefined;
}

/** How it stands with what is scheduled, as far as this scheduler knows. */
export interface SchedulerBacklog {
  /** Whether this scheduler is the one that delivers; another knows nothing of the rest. */
  readonly active: boolean;
  /** What is being delivered. */
  readonly firing: number;
  /** What could not be delivered and is tried again. */
  readonly failing: number;
  /** How many firings this scheduler has delivered since it was started. */
  readonly delivered: number;
}

/** Keeps messages for later, and delivers what is due. Disposing it stops it. */
export interface Scheduler extends Schedules, AsyncDisposable {
  /** How it stands. */
  backlog(): SchedulerBacklog;
  /** Lets go of the work, for another scheduler to take it. Never rejects. */
  stop(): Promise<void>;
}

/**
 * Starts to deliver what is scheduled. Any number of schedulers may be started on a store: one delivers, and another
 * goes on when that one is gone. A firing is delivered at least once, and each time under one id: a second time only if
 * a process was lost, or stood still, while it delivered, or the store's answer to whoever scheduled it was lost.
 *
 * What is due by the wall clock of the process that delivers is delivered: where that jumps ahead, what is scheduled
 * comes early, and where it jumps back, nothing comes twice.
 *
 * @example
 * ```ts
 * import { type Mediator, reliableEvent, type } from "@catga/catga";
 * import { startScheduler } from "@catga/catga/durable";
 * import type { Runtime, Store } from "@catga/catga/ports";
 *
 * const Woken = reliableEvent("woken", { data: type<{ at: string }>() });
 *
 * async function run(store: Store, runtime: Runtime, app: Mediator): Promise<void> {
 *   await using scheduler = startScheduler({
 *     store,
 *     runtime,
 *     owner: "node-1",
 *     deliver: (message, { signal }) => app.publish(message as ReturnType<typeof Woken>, { signal }),
 *   });
 *   await scheduler.cron("wake-up", "0 7 * * *", Woken({ at: "seven" }), { zone: "Europe/Berlin" });
 * }
 * ```
 */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const { store, runtime, owner, deliver } = options;
  const { ttl = 2000, poll = 1000, concurrency = 64, timeout = 30_000 } = options;
  const limits = [["ttl", ttl, 100, Infinity], ["poll", poll, 1, SOON], [
    "concurrency",
    concurrency,
    1,
    10_000,
  ]] as const;
  for (const [name, value, least, most] of [...limits, ["timeout", timeout, 1, 2 ** 31] as const]) {
    if (!(value >= least && value <= most && value < Infinity)) {
      throw new RangeError(`Cannot schedule: ${name} is ${value}, but must be ${least} to ${most}`);
    }
  }
  let term: SchedulerTerm | undefined;
  const scheduled = schedulesOf(options, (time) => term?.wake(time));
  const letters = deadLetters(store, { runtime });
  let ended = Promise.resolve();
  let delivered = 0;
  const kept = new KeptLease({
    store,
    runtime,
    owner,
    ttl,
    key: () => "leases/schedules",
    gained: ({ signal }) => {
      const host = { store, runtime, deliver, letters, poll, concurrency, timeout, signal };
      term = new SchedulerTerm({ ...host, delivered: () => void delivered++ });
      ended = term.ended;
    },
    lost: () => term = undefined,
    failed: (cause) => {
      const message = `"${owner}" cannot ask just now whether it shall deliver: ${faultOf(cause).message}`;
      runtime.log({ level: "warn", event: "scheduler.unreachable", message, fields: { owner } });
    },
  });
  const stop = async (): Promise<void> => {
    await kept.close();
    await ended;
  };
  return {
    ...scheduled,
    backlog: () => ({
      active: kept.held !== undefined,
      firing: term?.firing ?? 0,
      failing: term?.failing ?? 0,
      delivered,
    }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
