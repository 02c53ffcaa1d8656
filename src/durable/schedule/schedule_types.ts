import type { Schedulable } from "./schedule_entry.ts";
import type { Scheduled } from "./scheduled.ts";

/** What bounds and names what is scheduled. */
export interface ScheduleOptions {
  /**
   * Names it, with 1 to 100 characters and no `@`: of two with one name and one time the first is kept, so that what was
   * scheduled twice happens once. @default a name that no other has
   */
  readonly name?: string | undefined;
  /** Travels with the message. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Gives up waiting; it may be scheduled. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Schedules.cron} takes. */
export interface CronScheduleOptions {
  /** Whose clocks it goes by: an IANA zone, such as `Europe/Berlin`. @default "UTC" */
  readonly zone?: string | undefined;
  /**
   * What becomes of times at which nobody was there to deliver, over a minute ago: `once` delivers the first of them and
   * leaves out the rest, `skip` leaves out all. @default "once"
   */
  readonly missed?: "once" | "skip" | undefined;
  /** Travels with the message. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Gives up waiting; it may be scheduled. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Schedules.cancel} and {@linkcode Schedules.list} take. */
export interface ScheduledOptions {
  /** How many of each kind at most. @default 1000 */
  readonly limit?: number | undefined;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Messages for later, in a store: whoever runs `startScheduler` on it delivers them. Times are those of wall clocks.
 *
 * All methods reject with a `CatgaError`: `VALIDATION` for what cannot be kept, `UNAVAILABLE` when nothing was done,
 * `TRANSPORT` when nobody knows, `OVERLOADED` when there is no room, `CANCELLED` when the signal aborted. What is no
 * time, name or cron expression is a `RangeError`.
 */
export interface Schedules {
  /** Delivers a message at a time, in ms since 1970; at once if that is over. */
  at(time: number, message: Schedulable, options?: ScheduleOptions): Promise<Scheduled>;
  /** Delivers a message so many ms from now, however many. */
  in(ms: number, message: Schedulable, options?: ScheduleOptions): Promise<Scheduled>;
  /**
   * Delivers a message again and again, by a cron expression. To be said by every process at its start: what has that
   * name is changed to it, and goes on from where it was unless its times are others.
   */
  cron(
    name: string,
    expression: string,
    message: Schedulable,
    options?: CronScheduleOptions,
  ): Promise<Scheduled>;
  /** Calls something off; whether that came in time. If it did, it is not delivered from then on. */
  cancel(id: string, options?: ScheduledOptions): Promise<boolean>;
  /** What is scheduled: what happens once by time, then what happens again and again by name. */
  list(options?: ScheduledOptions): Promise<readonly Scheduled[]>;
}
