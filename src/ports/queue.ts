import type { Frame } from "./transport.ts";

/** What is put into a queue. */
export interface QueueItem {
  /** Names it, with 1 to 128 characters: of two with one name within the queue's `window` the first is kept. */
  readonly id: string;
  /** Items of one key are handed to a group one at a time and in the order in which they were pushed. */
  readonly key?: string | undefined;
  /** What it carries: at most 262,144 characters or bytes. */
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
  /** It is done with, for this group. Rejects with `CONFLICT` when the lease is over and another may have it. */
  ack(): Promise<void>;
  /** Gives it back, to be handed out again after so many ms; those behind it with its key wait. `CONFLICT` as above. */
  retry(delay: number): Promise<void>;
  /** Lets the lease last so many ms from now. `CONFLICT` as above. */
  extend(lease: number): Promise<void>;
}

/** What bounds an operation on a queue. */
export interface QueueOptions {
  /** Gives up waiting; what was asked for may have been done. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Queue.subscribe} takes. */
export interface SubscribeOptions extends QueueOptions {
  /** The group ends, with all it had not taken, when nobody has pulled for so long, in ms; never if left out. */
  readonly idle?: number | undefined;
}

/** What {@linkcode Queue.pull} takes. */
export interface PullOptions extends QueueOptions {
  /** How many at most. */
  readonly max: number;
  /** How long whoever pulled them has them, in ms: after that they are handed out again. */
  readonly lease: number;
  /** How long to wait for the first one, in ms. @default 0 */
  readonly wait?: number | undefined;
}

/** How it stands with a group. */
export interface QueueBacklog {
  /** How many items it has not acknowledged. */
  readonly items: number;
  /** How many of them are in somebody's hands. */
  readonly leased: number;
  /** How long the oldest of them has been there, in ms; 0 if there is none. */
  readonly age: number;
}

/**
 * Keeps items for groups of takers. An item goes to each group that subscribes to its topic when it is pushed, and in
 * a group to one member at a time, until one acknowledges it.
 *
 * Names of topics and groups have 1 to 256 characters. All methods reject with a `CatgaError`: `VALIDATION` for what no
 * queue takes, `OVERLOADED` when there is no room, `UNAVAILABLE` when provably nothing was done, `TRANSPORT` when it may
 * have been, `CANCELLED` when the signal aborted, `NO_HANDLER` for a group that is not there.
 */
export interface Queue {
  /** How long the name of an item is remembered, in ms. */
  readonly window: number;
  /** Whether it keeps the order of a key. */
  readonly ordered: boolean;
  /** Keeps items for all groups of a topic: all or none of them. When it settles, they are kept. */
  push(topic: string, items: readonly QueueItem[], options?: QueueOptions): Promise<void>;
  /** Begins a group, from what is pushed now on; does nothing to one that is there, but sets its `idle`. */
  subscribe(topic: string, group: string, options?: SubscribeOptions): Promise<void>;
  /** Ends a group, with all it had not taken. */
  unsubscribe(topic: string, group: string, options?: QueueOptions): Promise<void>;
  /** Takes items that are due, oldest first; none when there are none in time. */
  pull(topic: string, group: string, options: PullOptions): Promise<readonly Delivery[]>;
  /** How it stands with a group. */
  backlog(topic: string, group: string, options?: QueueOptions): Promise<QueueBacklog>;
}
