import { CatgaError, systemFault } from "../../result.ts";
import { createIdSource } from "../../internal/id_source.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { cron } from "./cron.ts";
import { persist } from "./persist.ts";
import {
  BELL,
  CRON,
  type CronEntry,
  firingId,
  isTime,
  keyOfOnce,
  ONCE,
  type OnceEntry,
  onceOfId,
  PARKED,
  readEntry,
  type Schedulable,
  writeEntry,
} from "./schedule_entry.ts";
import { cronShown, onceShown, type Scheduled } from "./scheduled.ts";

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
  /** Calls something off; whether that came in time. If it did, it is not delivered. */
  cancel(id: string, options?: ScheduledOptions): Promise<boolean>;
  /** What is scheduled: what happens once by time, what was given up, then what happens again and again by name. */
  list(options?: ScheduledOptions): Promise<readonly Scheduled[]>;
}

/** What {@linkcode schedules} takes. */
export interface SchedulesOptions {
  /** Where they are kept. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
}

/** How soon something must happen for whoever delivers it to be woken, in ms: he looks himself at least so often. */
export const SOON = 5000;
const NAME = 100;
/** How many there may be that happen again and again. */
export const CRONS = 1000;

/**
 * Messages for later, in a store. For a process that only schedules; `startScheduler` answers the same and delivers too.
 *
 * @example
 * ```ts
 * import { command, type } from "@catga/catga";
 * import { schedules } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const Remind = command("remind", { input: type<{ order: string }>(), output: type<void>() });
 * const runtime = systemRuntime();
 * const later = schedules({ store: memoryStore({ clock: runtime.clock }), runtime });
 *
 * const { id } = await later.in(30 * 86_400_000, Remind({ order: "o1" }), { name: "remind/o1" });
 * await later.cron("report", "0 7 * * mon-fri", Remind({ order: "all" }), { zone: "Europe/Berlin" });
 * console.log(await later.cancel(id));
 * ```
 */
export function schedules(options: SchedulesOptions): Schedules {
  return schedulesOf(options, () => {});
}

/** @param wake something may be due sooner than was thought */
export function schedulesOf({ store, runtime }: SchedulesOptions, wake: () => void): Schedules {
  const { clock, random } = runtime;
  const nextName = createIdSource(() => random.u32());

  async function at(time: number, message: Schedulable, options: ScheduleOptions = {}): Promise<Scheduled> {
    const { name = nextName(), headers, signal } = options;
    if (!isTime(time)) {
      throw new RangeError(`Cannot schedule "${message.type}": ${time} is no time in ms since 1970`);
    }
    checkName(name);
    const key = keyOfOnce(ONCE, time, name);
    const value = writeEntry({ message, ...(headers && { headers }) });
    // Where it is there already, it was put there by a try whose answer was lost, or by another with its name.
    await persist({ runtime, signal }, (signal) => {
      return store.put(key, value, { expected: "absent", signal }).catch((thrown: unknown) => {
        if (!isConflict(thrown)) throw thrown;
      });
    });
    wake();
    if (time - clock.wall() < SOON) {
      // Without it whoever delivers notices a little later.
      await store.put(BELL, "", { signal }).catch(() => {});
    }
    return { id: firingId(name, time), time, message, state: "waiting" };
  }

  async function repeat(
    name: string,
    expression: string,
    message: Schedulable,
    options: CronScheduleOptions = {},
  ): Promise<Scheduled> {
    const { zone = "UTC", missed = "once", headers, signal } = options;
    checkName(name);
    const times = cron(expression, { zone });
    const { next } = await persist({ runtime, signal, conflicts: true }, async (signal) => {
      const entry = await store.get(CRON + name, { signal });
      if (entry === undefined) await checkRoom(signal);
      const old = entry && readEntry<CronEntry>(entry);
      const same = old?.expression === expression && old.zone === zone;
      const next = same ? old.next : times.next(clock.wall());
      const firing = old?.firing === undefined ? undefined : { firing: old.firing };
      const kept: CronEntry = {
        message,
        ...(headers && { headers }),
        expression,
        zone,
        missed,
        next,
        ...firing,
      };
      const value = writeEntry(kept);
      if (value !== entry?.value) {
        await store.put(CRON + name, value, { expected: entry?.revision ?? "absent", signal });
      }
      return kept;
    });
    wake();
    return { id: name, time: next, message, state: "waiting", cron: { expression, zone } };
  }

  async function checkRoom(signal: AbortSignal): Promise<void> {
    if ((await store.list(CRON, { limit: CRONS, signal })).length < CRONS) return;
    throw new CatgaError(systemFault("OVERLOADED", `Cannot schedule more than ${CRONS} by cron expressions`));
  }

  async function cancel(id: string, { signal }: ScheduledOptions = {}): Promise<boolean> {
    const once = onceOfId(id);
    const keys = once === undefined
      ? [CRON + id]
      : [ONCE, PARKED].map((prefix) => keyOfOnce(prefix, once.time, once.name));
    for (const key of keys) if (await remove(key, signal)) return true;
    return false;
  }

  async function remove(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    let isUnknown = false;
    return await persist({ runtime, signal, conflicts: true }, async (signal) => {
      const entry = await store.get(key, { signal });
      if (entry === undefined) return isUnknown ? lose(key) : false;
      if (key.startsWith(ONCE) && readEntry<OnceEntry>(entry).firing) return false;
      isUnknown = true;
      await store.delete(key, { expected: entry.revision, signal }).catch((thrown: unknown) => {
        if (isConflict(thrown)) isUnknown = false;
        throw thrown;
      });
      return true;
    });
  }

  async function list({ limit = 1000, signal }: ScheduledOptions = {}): Promise<readonly Scheduled[]> {
    const found = (prefix: string): Promise<readonly Entry[]> =>
      persist({ runtime, signal }, (signal) => store.list(prefix, { limit, signal }));
    const [waiting, parked, crons] = [await found(ONCE), await found(PARKED), await found(CRON)];
    return [
      ...waiting.flatMap((entry) => onceShown(ONCE, entry)),
      ...parked.flatMap((entry) => onceShown(PARKED, entry)),
      ...crons.flatMap(cronShown),
    ];
  }

  return {
    at,
    in: async (ms, message, options) => {
      if (!(ms >= 0)) {
        throw new RangeError(`Cannot schedule "${message.type}" in ${ms} ms: it must be 0 or more`);
      }
      return await at(Math.ceil(clock.wall() + ms), message, options);
    },
    cron: repeat,
    cancel,
    list,
  };
}

/** It is gone, after an answer was lost: called off by this, or delivered. */
function lose(key: string): never {
  const message = `Nobody knows whether "${key}" was called off in time: the store did not answer`;
  throw new CatgaError({ ...systemFault("TRANSPORT", message), retryable: false });
}

function checkName(name: string): void {
  if (name.length >= 1 && name.length <= NAME && !name.includes("@") && name.isWellFormed()) return;
  throw new RangeError(
    `Cannot schedule ${JSON.stringify(name)}: a name has 1 to ${NAME} characters and no @`,
  );
}

function isConflict(thrown: unknown): boolean {
  return CatgaError.is(thrown) && thrown.code === "CONFLICT";
}
