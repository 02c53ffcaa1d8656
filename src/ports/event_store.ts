/** An event to be appended. Its texts are well-formed Unicode; a store keeps them as they are and looks into none. */
export interface NewEvent {
  /** Names it in its stream, with 1 to 128 characters: an append whose answer was lost is known again by it. */
  readonly id: string;
  /** The name of what happened, with 1 to 256 characters; stable, whatever the code is called. */
  readonly type: string;
  /** What happened, as JSON: at most 262,144 characters. */
  readonly data: string;
  /** What accompanies it, such as who caused it, as JSON: at most 16,384 characters. */
  readonly meta?: string | undefined;
}

/** An event that was appended. It is never changed and never goes of itself. */
export interface StoredEvent extends NewEvent {
  /** The stream that it belongs to. */
  readonly stream: string;
  /** Its place in its stream: 1, 2, 3 without a gap. */
  readonly version: number;
  /** Its place among all events: it grows, and whoever has read one will find no lower one that is new. */
  readonly position: number;
  /** When it was appended, in ms since 1970 by the store's clock; never before the event that precedes it. */
  readonly at: number;
}

/** What a stream must be like for an append: anything, not there, there, or at just that version (0: not there). */
export type ExpectedVersion = "any" | "absent" | "exists" | number;

/** What bounds an operation on an event store. */
export interface EventStoreOptions {
  /** Gives up waiting; what was asked for may have been done. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode EventStore.append} takes. */
export interface AppendOptions extends EventStoreOptions {
  /** What the stream must be like. @default "any" */
  readonly expected?: ExpectedVersion | undefined;
}

/** What {@linkcode EventStore.append} answers. */
export interface Appended {
  /** The version of its last event; that of the stream where it had none. */
  readonly version: number;
  /** The position of its last event; that of the stream's last one where it had none, 0 where there is no stream. */
  readonly position: number;
}

/** The `data` of a `CONFLICT`. */
export interface VersionConflict {
  /** What the caller expected. */
  readonly expected: ExpectedVersion;
  /** The version that was found; 0 where there is no such stream. */
  readonly found: number;
}

/** What {@linkcode EventStore.read} takes. */
export interface ReadOptions extends EventStoreOptions {
  /** The first version to read, from 1; by default the first of the stream, backward the last. */
  readonly from?: number | undefined;
  /** How many at most; fewer may come where they are large, so only an empty answer is the end. @default 1000 */
  readonly limit?: number | undefined;
  /** From new to old. @default false */
  readonly backward?: boolean | undefined;
}

/** What {@linkcode EventStore.readAll} takes. */
export interface ReadAllOptions extends EventStoreOptions {
  /** Only what comes after this position. @default 0 */
  readonly after?: number | undefined;
  /** How many at most; fewer may come where they are large, so only an empty answer is the end. @default 1000 */
  readonly limit?: number | undefined;
}

/** What {@linkcode EventStore.changed} takes. */
export interface ChangedOptions extends EventStoreOptions {
  /** The longest to wait, in ms. */
  readonly wait: number;
}

/**
 * Keeps streams of events: appended by compare-and-set, read by stream or all in one order.
 *
 * The name of a stream has 1 to 256 characters; an append has at most 1000 events, of together at most 4,194,304
 * characters. All methods reject with a `CatgaError`: `CONFLICT` with a {@linkcode VersionConflict} when the stream is
 * not as expected, `VALIDATION` for what no store takes, `OVERLOADED` when there is no room, `UNAVAILABLE` when provably
 * nothing was done, `TRANSPORT` when it may have been, `CANCELLED` when the signal aborted.
 */
export interface EventStore {
  /**
   * Appends all events or none; of two that expect the same version one wins. Appending events again whose ids are
   * there already, in this stream, in this order and one behind the other, does nothing and answers as the first time,
   * whatever is expected; so an append whose answer was lost is settled by repeating it. Any other append with an id
   * that is there already is a `CONFLICT`, also where the stream is as expected. None at all only looks whether the
   * stream is as expected.
   */
  append(stream: string, events: readonly NewEvent[], options?: AppendOptions): Promise<Appended>;
  /** The events of a stream, in order; none of a stream that is not there. */
  read(stream: string, options?: ReadOptions): Promise<readonly StoredEvent[]>;
  /** The event of a stream that has this id; `undefined` if there is none. */
  find(stream: string, id: string, options?: EventStoreOptions): Promise<StoredEvent | undefined>;
  /** The events of all streams, in the order of their positions. */
  readAll(options?: ReadAllOptions): Promise<readonly StoredEvent[]>;
  /** The position of the last event of all; 0 where there is none. Whoever reads afterwards finds all up to it. */
  head(options?: EventStoreOptions): Promise<number>;
  /** Waits until there is an event after a position, or the time is over; it may settle too early, never too late. */
  changed(after: number, options: ChangedOptions): Promise<void>;
}
