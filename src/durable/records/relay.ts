import { faultOf } from "../../result.ts";
import type { Queue } from "../../ports/queue.ts";
import { keepingCommands } from "../command_group.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { KeptLease } from "../kept_lease.ts";
import { refuseUnkept } from "../refuse_unkept.ts";
import { RelayTerm } from "./relay_term.ts";

/** What {@linkcode startRelay} takes. */
export interface RelayOptions {
  /** Where the records are. */
  readonly store: Store;
  /** What their messages are put into. */
  readonly queue: Queue;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Who relays: a name for people, such as that of a node. */
  readonly owner: string;
  /** How long after a relay was last heard of another takes its place, in ms: at least 100. @default 2000 */
  readonly ttl?: number | undefined;
  /** How often the store is looked through for what a watch may have missed, in ms. @default 2000 */
  readonly poll?: number | undefined;
  /** How many records are worked on at a time. @default 16 */
  readonly concurrency?: number | undefined;
  /** Takes a store of which nothing survives; what is to be told may then be lost. @default false */
  readonly unsafe?: boolean | undefined;
}

/** How it stands with what is to be told, as far as this relay knows. */
export interface RelayBacklog {
  /** Whether this relay is the one that works; another knows nothing of the rest. */
  readonly active: boolean;
  /** Records that may have something to tell. */
  readonly records: number;
  /** Those of them that could not be worked on last time. */
  readonly failing: number;
  /** How long the oldest of them has been known, in ms; 0 if there is none. */
  readonly age: number;
  /** Messages that this relay has put into the queue since it was started. */
  readonly told: number;
}

/** Puts what records have to tell into a queue. Disposing it stops it. */
export interface Relay extends AsyncDisposable {
  /** Says that there is something to tell, so that nothing waits for the watch. For `records`. */
  wake(mark: string): void;
  /** How it stands. */
  backlog(): RelayBacklog;
  /** Lets go of the work, for another relay to take it. Never rejects. */
  stop(): Promise<void>;
}

/**
 * Starts to put what records have to tell into a queue, in the order of each record, under ids that stay the same; then
 * takes it out of the record. Any number of relays may be started on a store: one works, and another goes on when that
 * one is gone. A message is told at least once; one that is told again within the queue's `window` is dropped there.
 *
 * By default a message is told within 5 s of its record being kept and store and queue answering: at once by the relay
 * that works; up to 4 s later where an answer was lost just then; when that relay has crashed, by another one, once its
 * lease is over (`ttl`). A longer `ttl` or `poll` makes it later.
 *
 * Throws a `RangeError` for an option that cannot be, and `CONFLICT` for a store of which nothing survives, unless it
 * is `unsafe`.
 *
 * @example
 * ```ts
 * import { records, startRelay } from "@catga/catga/durable";
 * import type { Queue, Runtime, Store } from "@catga/catga/ports";
 *
 * async function run(store: Store, queue: Queue, runtime: Runtime): Promise<void> {
 *   await using relay = startRelay({ store, queue, runtime, owner: "node-1" });
 *   const carts = records<{ items: number }>("carts", { store, runtime, relay });
 *   await carts.update("ann", (cart) => ({ items: (cart?.items ?? 0) + 1 }));
 *   console.log(relay.backlog());
 * }
 * ```
 */
export function startRelay(options: RelayOptions): Relay {
  const { store, runtime, owner, ttl = 2000, poll = 2000, concurrency = 16 } = options;
  const queue = keepingCommands(options.queue);
  for (
    const [name, value, least] of [["ttl", ttl, 100], ["poll", poll, 1], [
      "concurrency",
      concurrency,
      1,
    ]] as const
  ) {
    if (!(value >= least && value < Infinity)) {
      throw new RangeError(`Cannot relay: ${name} is ${value}, but must be ${least} or more`);
    }
  }
  refuseUnkept(`relay for "${owner}"`, "what is to be told", options);
  let term: RelayTerm | undefined;
  let ended: Promise<void> = Promise.resolve();
  let told = 0;
  const kept = new KeptLease({
    store,
    runtime,
    owner,
    ttl,
    key: () => "leases/outbox",
    gained: ({ signal }) => {
      term = new RelayTerm({
        store,
        queue,
        runtime,
        signal,
        poll,
        concurrency,
        told: (count) => told += count,
      });
      ended = term.ended;
    },
    lost: () => term = undefined,
    failed: (cause) => {
      const message = `"${owner}" cannot ask just now whether it shall relay: ${faultOf(cause).message}`;
      runtime.log({ level: "warn", event: "outbox.unreachable", message, fields: { owner } });
    },
  });
  const stop = async (): Promise<void> => {
    await kept.close();
    await ended;
  };
  return {
    wake: (mark) => term?.wake(mark),
    backlog: () => ({ active: kept.held !== undefined, ...term?.backlog() ?? NONE, told }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const NONE = { records: 0, failing: 0, age: 0 };
