import { CatgaError, systemFault } from "../../result.ts";
import { createIdSource } from "../../internal/id_source.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { cron } from "./cron.ts";
import { persist } from "./persist.ts";
import {
  BELL,
  CALLED_OFF,
  CRON,
  type CronEntry,
  firingId,
  isTime,
  keyOfOnce,
  OFF_FOR,
  ONCE,
  type OnceEntry,
  onceOfId,
  type Schedulable,
  writeNew,
} from "./schedule_entry.ts";
import { refuseUnkept } from "../refuse_unkept.ts";
import type { CronScheduleOptions, ScheduledOptions, ScheduleOptions, Schedules } from "./schedule_types.ts";
import { cronShown, onceShown, readable, type Scheduled } from "./scheduled.ts";

/** What {@linkcode schedules} takes. */
export interface SchedulesOptions {
  /** Where they are kept. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Takes a store of which nothing survives; what is scheduled may then be lost. @default false */
  readonly unsafe?: boolean | undefined;
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
 * const later = schedules({ store: memoryStore({ clock: runtime.clock }), runtime, unsafe: true });
 *
 * const { id } = await later.in(30 * 86_400_000, Remind({ order: "o1" }), { name: "remind/o1" });
 * await later.cron("report", "0 7 * * mon-fri", Remind({ order: "all" }), { zone: "Europe/Berlin" });
 * console.log(await later.cancel(id));
 * ```
 */
export function schedules(options: SchedulesOptions): Schedules {
  return schedulesOf(options, () => {});
}

/** @param wake something is due at a time, in ms since 1970 */
export function schedulesOf(options: SchedulesOptions, wake: (time: number) => void): Schedules {
  refuseUnkept("schedule", "what is scheduled", options);
  const { store, runtime } = options;
  const { clock, random } = runtime;
  const nextName = createIdSource(() => random.u32());

  async function at(time: number, message: Schedulable, options: ScheduleOptions = {}): Promise<Scheduled> {
    const { name = nextName(), headers, signal } = options;
    if (!isTime(time)) {
      throw new RangeError(`Cannot schedule "${message.type}": ${time} is no time in ms since 1970`);
    }
    checkName(name);
    const key = keyOfOnce(ONCE, time, name);
    const value = writeNew({ message, ...(headers && { headers }) });
    await put(key, value, signal);
    wake(time);
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
      const old = entry && readable<CronEntry>(entry);
      const same = old?.expression === expression && old.zone === zone;
      const next = same ? old.next : times.next(clock.wall());
      const { firing, refused } = old ?? {};
      const kept: CronEntry = {
        message,
        ...(headers && { headers }),
        expression,
        zone,
        missed,
        next,
        ...(firing !== undefined && { firing }),
        ...(firing !== undefined && refused !== undefined && { refused }),
      };
      const value = writeNew(kept);
      if (value !== entry?.value) {
        await store.put(CRON + name, value, { expected: entry?.revision ?? "absent", signal });
      }
      return kept;
    });
    wake(next);
    return { id: name, time: next, message, state: "waiting", cron: { expression, zone } };
  }

  async function checkRoom(signal: AbortSignal): Promise<void> {
    if ((await store.list(CRON, { limit: CRONS, signal })).length < CRONS) return;
    throw new CatgaError(systemFault("OVERLOADED", `Cannot schedule more than ${CRONS} by cron expressions`));
  }

  async function cancel(id: string, { signal }: ScheduledOptions = {}): Promise<boolean> {
    const once = onceOfId(id);
    if (once === undefined) return await callOff(CRON + id, signal);
    return await callOff(keyOfOnce(ONCE, once.time, once.name), signal);
  }

  /**
   * Keeps it unless it is there already: then it was put there by a try whose answer was lost, or by another with its
   * name. Only over what was called off before the first try it is written.
   */
  async function put(key: string, value: string, signal: AbortSignal | undefined): Promise<void> {
    let isUnknown = false;
    const write = (expected: number | "absent", signal: AbortSignal): Promise<boolean> =>
      store.put(key, value, { expected, signal }).then(() => true, (thrown: unknown) => {
        if (isConflict(thrown)) return false;
        isUnknown = true;
        throw thrown;
      });
    await persist({ runtime, signal, conflicts: true }, async (signal) => {
      if (await write("absent", signal)) return;
      const entry = await store.get(key, { signal });
      if (entry !== undefined && entry.value !== CALLED_OFF) return;
      if (entry !== undefined && isUnknown) return lose(key);
      if (entry !== undefined && await write(entry.revision, signal)) return;
      throw new CatgaError(systemFault("CONFLICT", `"${key}" was changed meanwhile`));
    });
  }

  /** Puts a sign in its place, so that nothing that is under way can bring it back. */
  async function callOff(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    let isTried = false;
    return await persist({ runtime, signal, conflicts: true }, async (signal) => {
      const entry = await store.get(key, { signal });
      if (entry === undefined) return false;
      if (entry.value === CALLED_OFF) return isTried;
      if (key.startsWith(ONCE) && readable<OnceEntry>(entry)?.firing) return false;
      isTried = true;
      await store.put(key, CALLED_OFF, { expected: entry.revision, ttl: OFF_FOR, signal });
      return true;
    });
  }

  async function list({ limit = 1000, signal }: ScheduledOptions = {}): Promise<readonly Scheduled[]> {
    const found = (prefix: string): Promise<readonly Entry[]> =>
      persist({ runtime, signal }, (signal) => store.list(prefix, { limit, signal }));
    const [onces, crons] = [await found(ONCE), await found(CRON)];
    return [...onces.flatMap(onceShown), ...crons.flatMap(cronShown)];
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

/** It was called off, before or after it was there. */
function lose(key: string): never {
  const message =
    `Nobody knows whether "${key}" was scheduled: the store did not answer, and it was called off`;
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
