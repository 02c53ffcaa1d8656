import type { Fault, Result } from "../result.ts";
import type { Delivery, Queue } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import type { Quarantine } from "./quarantine.ts";

/** Remembers what was done, so that nothing is done twice. */
export interface DoneMarks {
  /** Whether a group has done with a delivery. */
  seen(group: string, id: string): Promise<boolean>;
  /** A group has done with a delivery. */
  done(group: string, id: string): Promise<void>;
}

/** How often something was tried that becomes a dead letter. */
export interface Tries {
  /** In how many rounds it failed, on all nodes. */
  readonly attempts: number;
  /** How often its queue handed it out. */
  readonly handedOut: number;
}

/** What a consumer stands on. */
export interface ConsumerHost {
  readonly queue: Queue;
  /** Where it is kept how often deliveries failed. */
  readonly store: Store;
  readonly runtime: Runtime;
  /** Where a delivery is alone that may have ended its process: one for all consumers of a node. */
  readonly quarantine: Quarantine;
  readonly topic: string;
  readonly group: string;
  /** When the group ends if nobody pulls, in ms; never if left out. */
  readonly idle?: number | undefined;
  /** How many deliveries are worked on at a time. */
  readonly concurrency: number;
  /** How long a delivery stays with a process that was not heard of, in ms. */
  readonly lease: number;
  /** How often a delivery is tried before it is put back: one round. Once where it is alone. */
  readonly attempts: number;
  /** How long it is put back, in ms, after each round that failed. */
  readonly redeliver: readonly number[];
  /** What was done before; left out where that does not matter. */
  readonly marks?: DoneMarks | undefined;
  /** The id that marks know a delivery by, also where it was pushed again under another one. @default its own */
  readonly markOf?: ((delivery: Delivery) => string) | undefined;
  /** Tries a delivery once. The signal aborts when it is no longer this process's. Never rejects. */
  handle(delivery: Delivery, signal: AbortSignal): Promise<Result<void, Fault>>;
  /** Keeps what will never be handled. */
  bury(delivery: Delivery, fault: Fault, tries: Tries): Promise<void>;
}

/** What a consumer has counted. */
export interface ConsumerStats {
  /** What it hears. */
  readonly topic: string;
  /** Which of those who hear it it is. */
  readonly group: string;
  /** Deliveries that are being worked on. */
  readonly inFlight: number;
  /** Deliveries that went well. */
  readonly handled: number;
  /** Deliveries that were known to be done already, or were replayed for another group. */
  readonly repeated: number;
  /** Deliveries that were put back for later. */
  readonly putBack: number;
  /** Deliveries that became dead letters. */
  readonly buried: number;
  /** Deliveries that were begun alone, since nobody had said what came of them several times. */
  readonly alone: number;
}
