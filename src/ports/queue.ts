import type { Frame } from "./transport.ts";

/** What is put into a queue. */
export interface QueueItem {
  /** Names it within its topic, with 1 to 128 characters: of two within the queue's `window` the first is kept. */
  readonly id: string;
  /**
   * Items of one key are handed to a group one at a time and in the order in which they were pushed, so one that is
   * kept back holds up those behind it. At most 512 characters; an empty one is a key too.
   */
  readonly key?: string | undefined;
  /** What it carries: at most 262,144 characters or bytes. The queue keeps it as it was when it was pushed. */
  readonly payload: Frame;
  /** How long it is kept back, in ms by the queue's clock, however long. @default 0 */
  readonly delay?: number | undefined;
}

/** An item in the hands of one member of a group, for as long as its lease lasts. */
export interface Delivery {
  /** The name it was pushed with. */
  readonly id: string;
  /** The key it was pushed with. */
  readonly key: string | undefined;
  /** What it carries. */
  readonly payload: Frame;
  /** How often it was handed to this group, with this time: 1 the first time. Counted by the queue. */
  readonly attempt: number;
  /** When it was pushed, in ms since 1970 by the queue's clock. */
  readonly pushed: number;
  /**
   * It is done with, for this group. Rejects with `CONFLICT` when the lease is over, or it was given back, and another
   * may have it. What was done with by this stays so: an answer that was lost is settled by asking again.
   */
  ack(): Promise<void>;
  /**
   * Gives it back, to be handed out again after so many ms; those behind it with its key wait. `CONFLICT` as above, and
   * when it is done with or its group has ended.
   */
  retry(delay: number): Promise<void>;
  /** Lets the lease last so many ms from now, be it longer or shorter. `CONFLICT` as for `retry`. */
  extend(lease: number): Promise<void>;
}

/** What bounds an operation on a queue. */
export interface QueueOptions {
  /** Gives up waiting; what was asked for may have been done. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Queue.subscribe} takes. */
export interface SubscribeOptions extends QueueOptions {
  /**
   * The group ends, with all it had not taken, when for so long, in ms, nobody has subscribed, pulled, waited for an
   * item or had one in hands; never if left out.
   */
  readonly idle?: number | undefined;
}

/** What {@linkcode Queue.pull} takes. */
export interface PullOptions extends QueueOptions {
  /** How many at most, 1 or more; fewer may come, but none only if none are due. */
  readonly max: number;
  /** How long whoever pulled them has them, in ms: after that they are handed out again. */
  readonly lease: number;
  /** How long to wait for the first one, in ms. A wait that is given up takes nothing it can help. @default 0 */
  readonly wait?: number | undefined;
}

/** How it stands with a group. */
export interface QueueBacklog {
  /** How many items it has not acknowledged, also those that are kept back. */
  readonly items: number;
  /** How many of them are in somebody's hands. */
  readonly leased: number;
  /** How long ago the oldest of them was pushed, in ms; 0 if there is none. */
  readonly age: number;
}

/**
 * Keeps items for groups of takers. An item goes to each group that subscribes to its topic when it is pushed, and in
 * a group to one member at a time, until one acknowledges it.
 *
 * Names of topics and groups have 1 to 256 characters; all texts are well-formed Unicode. A push has at most 1000
 * items. Delays and waits are 0 ms or more, leases and `idle` more than 0, all of them finite.
 *
 * All methods reject with a `CatgaError`: `VALIDATION` for what no queue takes, `OVERLOADED` when there is no room,
 * `UNAVAILABLE` when provably nothing was done, `TRANSPORT` when it may have been, `CANCELLED` when the signal aborted,
 * `NO_HANDLER` for a group that is not there, also when it ends while somebody waits for an item of it.
 */
export interface Queue {
  /** How long the name of an item is remembered, in ms, also when it is done with. What bounds their number says so. */
  readonly window: number;
  /** Whether it keeps the order of a key. */
  readonly ordered: boolean;
  /**
   * Keeps items for all groups of a topic: all or none of them. When it resolves, they are kept. Where there is no
   * group, nothing is.
   */
  push(topic: string, items: readonly QueueItem[], options?: QueueOptions): Promise<void>;
  /** Begins a group, from what is pushed now on; does nothing to one that is there, but sets its `idle`. */
  subscribe(topic: string, group: string, options?: SubscribeOptions): Promise<void>;
  /** Ends a group, with all it had not taken; does nothing if it is not there. */
  unsubscribe(topic: string, group: string, options?: QueueOptions): Promise<void>;
  /**
   * Takes items that are due, those first that have been for longest; none when there are none in time. An item that
   * was given back, whose lease was over or that was kept back by its key is due from then on.
   */
  pull(topic: string, group: string, options: PullOptions): Promise<readonly Delivery[]>;
  /** How it stands with a group. */
  backlog(topic: string, group: string, options?: QueueOptions): Promise<QueueBacklog>;
}
