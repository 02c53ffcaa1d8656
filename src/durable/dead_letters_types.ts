import type { Fault } from "../result.ts";
import type { Codec } from "../ports/codec.ts";
import type { Queue } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Frame } from "../ports/transport.ts";

/** What `deadLetters` takes. */
export interface DeadLettersOptions {
  /** The door to time, chance and hashes. */
  readonly runtime: Pick<Runtime, "clock" | "random" | "crypto">;
  /** Reads messages, to show them. @default JSON */
  readonly codec?: Codec | undefined;
  /** How many letters are kept, give or take those that other processes put at the same time. @default 10000 */
  readonly limit?: number | undefined;
}

/** What a group could not handle. */
export interface NewDeadLetter {
  /** The topic it came by. */
  readonly topic: string;
  /** Who could not handle it. */
  readonly group: string;
  /** The name of the delivery, as the queue has it. */
  readonly id: string;
  /** The key that it was pushed with. */
  readonly key?: string | undefined;
  /** What it carries, as it came. */
  readonly payload: Frame;
  /** When it was pushed, in ms since 1970 by the queue's clock. */
  readonly pushed: number;
  /** In how many rounds it failed, on all nodes together. */
  readonly attempts: number;
  /** How often its queue handed it out. */
  readonly handedOut?: number | undefined;
  /** Why the last try failed. */
  readonly fault: Fault;
}

/** A delivery that a group could not handle, without what it carries. */
export interface DeadLetter {
  /** Names the letter in this list. */
  readonly name: string;
  /** The topic it came by. */
  readonly topic: string;
  /** Who could not handle it. */
  readonly group: string;
  /** The name that it was first pushed with; a hash of it where that has more than 96 characters. */
  readonly id: string;
  /** The key that it was pushed with. */
  readonly key: string | undefined;
  /** When it was pushed, in ms since 1970 by the queue's clock; when it was due, if it was scheduled. */
  readonly pushed: number;
  /** When it became a dead letter, in ms since 1970. */
  readonly at: number;
  /**
   * In how many rounds it failed, on all nodes together, since it was replayed last; a round is as many tries as the
   * contract says. 0 if no handler ever answered, since its process ended each time.
   */
  readonly attempts: number;
  /**
   * How often its queue handed it out since then: more often than it failed where processes ended, stood still or gave it
   * back. `undefined` where no queue did.
   */
  readonly handedOut: number | undefined;
  /** How often it was replayed before. */
  readonly replays: number;
  /** The code of the fault of the last try. */
  readonly code: string;
  /** Its message, at most 2000 characters of it. */
  readonly message: string;
  /** How large what it carries is, in characters or bytes. */
  readonly size: number;
}

/** A dead letter with what it carries. */
export interface OpenedDeadLetter extends DeadLetter {
  /** What it carries, as it came. */
  readonly payload: Frame;
  /** The message in it, with its headers; `undefined` if it cannot be read. */
  readonly content: DeadLetterContent | undefined;
}

/** The message in a dead letter. */
export interface DeadLetterContent {
  /** The name of its contract. */
  readonly type: string;
  /** Names it. */
  readonly id: string;
  /** What it carries. */
  readonly body: unknown;
  /** The id of the message that everything began with. */
  readonly correlationId: string | undefined;
  /** The id of the message that it was sent because of. */
  readonly causationId: string | undefined;
  /** What its sender said beside the body. */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/** Which letters are meant. */
export interface DeadLetterFilter {
  /** Those that came by a topic. */
  readonly topic?: string | undefined;
  /** Those of a group. */
  readonly group?: string | undefined;
}

/** What {@linkcode DeadLetters.list} takes. */
export interface ListDeadLetters extends DeadLetterFilter {
  /** Begins behind this name: the `next` of the page before. */
  readonly after?: string | undefined;
  /** How many at most. @default 100 */
  readonly limit?: number | undefined;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** Some dead letters, ordered by name. */
export interface DeadLetterPage {
  /** The letters. */
  readonly letters: readonly DeadLetter[];
  /** Where the next page begins; `undefined` when this is the last. */
  readonly next: string | undefined;
  /** How many there are in all that fit. */
  readonly total: number;
}

/** What {@linkcode DeadLetters.replay} takes. */
export interface ReplayOptions {
  /** Where they came from; what was scheduled came from the store. */
  readonly queue: Queue;
  /** How many a second. @default 100 */
  readonly rate?: number | undefined;
  /** Ends it; those that were replayed are. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Deliveries that could not be handled, each with what it carries, until somebody has looked at them. All methods
 * reject with the `CatgaError` of the store, or of the queue.
 */
export interface DeadLetters {
  /**
   * Keeps a letter: however often, there is one for each delivery and group. When it settles, it is kept, so only then
   * the delivery may be acknowledged. Rejects with `OVERLOADED` when there are as many as may be.
   */
  put(letter: NewDeadLetter): Promise<void>;
  /** Some letters. */
  list(options?: ListDeadLetters): Promise<DeadLetterPage>;
  /** A letter with what it carries; `undefined` if there is none of that name. */
  show(name: string): Promise<OpenedDeadLetter | undefined>;
  /**
   * Gives letters back to the queue, for the group that could not handle them and under a name that leads back to the
   * first (`deliveryName`), and takes them off the list; one that fails again comes back. What was scheduled is given
   * back to its scheduler, to be delivered at once under the id that it had. Answers how many.
   * Rejects with `NO_HANDLER` when a group is not there any longer, and with `CONFLICT` when something else was
   * scheduled in its place.
   */
  replay(which: readonly string[] | DeadLetterFilter, options: ReplayOptions): Promise<number>;
  /** Takes letters off the list for good. Answers how many. */
  drop(which: readonly string[] | DeadLetterFilter): Promise<number>;
}
