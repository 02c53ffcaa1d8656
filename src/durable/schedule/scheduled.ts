import type { Entry } from "../../ports/store.ts";
import {
  CALLED_OFF,
  CRON,
  type CronEntry,
  firingId,
  ONCE,
  type OnceEntry,
  onceOfKey,
  readEntry,
  type Schedulable,
} from "./schedule_entry.ts";

/** Something that was scheduled. */
export interface Scheduled {
  /** What `cancel` takes; of something that happens once also the id that it is delivered under. */
  readonly id: string;
  /** When it happens, or happens next, in ms since 1970. */
  readonly time: number;
  /** What is delivered. */
  readonly message: Schedulable;
  /** Whether it waits or is being delivered. */
  readonly state: "waiting" | "firing";
  /** When it happens again, if it does. */
  readonly cron?: { readonly expression: string; readonly zone: string } | undefined;
}

/** What happens once, as it is shown; nothing for what cannot be read. */
export function onceShown(entry: Entry): Scheduled[] {
  const { time, name } = onceOfKey(ONCE, entry.key);
  const once = readable<OnceEntry>(entry);
  if (once === undefined) return [];
  const state = once.firing ? "firing" : "waiting";
  return [{ id: firingId(name, time), time, message: once.message, state }];
}

/** The same of what happens again and again. */
export function cronShown(entry: Entry): Scheduled[] {
  const cron = readable<CronEntry>(entry);
  if (cron === undefined) return [];
  const { expression, zone, message, next: time, firing } = cron;
  const state = firing === undefined ? "waiting" : "firing";
  return [{ id: entry.key.slice(CRON.length), time, message, state, cron: { expression, zone } }];
}

/** What is kept; `undefined` for what was called off or cannot be read. */
export function readable<E extends OnceEntry | CronEntry>(entry: Entry): E | undefined {
  if (entry.value === CALLED_OFF) return undefined;
  try {
    return readEntry<E>(entry);
  } catch {
    return undefined;
  }
}
