import { CatgaError, systemFault } from "../../result.ts";
import { checkTree } from "../../internal/safe_json.ts";
import type { Answerable, Message, Publishable } from "../../message/message.ts";
import type { Entry } from "../../ports/store.ts";

/** What can be scheduled. */
export type Schedulable = Answerable | Publishable;

/** What is kept of something that happens once; its time and name are in its key. */
export interface OnceEntry {
  readonly message: Schedulable;
  readonly headers?: Readonly<Record<string, string>>;
  /** It is being delivered, or was; it cannot be called off any more. */
  readonly firing?: true;
  /** How often it could not be delivered for a reason that trying again does not heal. */
  readonly refused?: number;
  /** What its dead letter is called, where it is a replay of one. */
  readonly letter?: string;
}

/** What is kept of something that happens again and again; its name is in its key. */
export interface CronEntry {
  readonly message: Schedulable;
  readonly headers?: Readonly<Record<string, string>>;
  readonly expression: string;
  readonly zone: string;
  readonly missed: "once" | "skip";
  /** When it happens next, in ms since 1970. */
  readonly next: number;
  /** Which of its times is being delivered. */
  readonly firing?: number;
  /** How often that could not be delivered for a reason that trying again does not heal. */
  readonly refused?: number;
}

/** What the keys begin with: they are ordered by time, and then by name. */
export const ONCE = "schedules/at/";
export const CRON = "schedules/cron/";
/** Is written when something is scheduled for soon. */
export const BELL = "schedules/bell";

/** What is kept for a while of what was called off, so that no write that is late can bring it back. */
export const CALLED_OFF = "called off";
/** How long that is, in ms: longer than anybody waits for a write. */
export const OFF_FOR = 120_000;

/** As many digits as the largest time has. */
const DIGITS = 16;
/** The largest time that a `Date` can show, in ms since 1970. */
const LATEST = 8.64e15;

/** Where something is kept that happens once. */
export function keyOfOnce(prefix: string, time: number, name: string): string {
  return `${prefix}${String(time).padStart(DIGITS, "0")}/${name}`;
}

/** When something happens that is kept under this key, and what it is called. */
export function onceOfKey(prefix: string, key: string): { readonly time: number; readonly name: string } {
  const at = prefix.length + DIGITS;
  return { time: Number(key.slice(prefix.length, at)), name: key.slice(at + 1) };
}

/** What names one firing, the same each time it is tried. */
export function firingId(name: string, time: number): string {
  return `${name}@${time}`;
}

/** The parts of a firing's name; `undefined` if it names none. */
export function onceOfId(id: string): { readonly time: number; readonly name: string } | undefined {
  const at = id.lastIndexOf("@");
  const time = Number(id.slice(at + 1));
  return at < 1 || !isTime(time) || firingId(id.slice(0, at), time) !== id
    ? undefined
    : { name: id.slice(0, at), time };
}

/** Whether something can happen then: whole ms since 1970. */
export function isTime(time: number): boolean {
  return Number.isSafeInteger(time) && time >= 0 && time <= LATEST;
}

/** The most a store takes, in characters, and how much of that is left for what becomes known later. */
const ROOM = 262_144;
const LATER = 512;

/** What is to be kept from now on, as text. Throws `VALIDATION` for what could not be read again, or has no room. */
export function writeNew(entry: OnceEntry | CronEntry): string {
  const text = writeEntry(entry);
  if (text.length <= ROOM - LATER) return text;
  const message = `Cannot schedule "${entry.message.type}": it has ${text.length} characters, but may have ${
    ROOM - LATER
  }`;
  throw new CatgaError(systemFault("VALIDATION", message));
}

/** What is kept, as text. Throws `VALIDATION` for what could not be read again. */
export function writeEntry(entry: OnceEntry | CronEntry): string {
  const { kind, type, body } = entry.message;
  try {
    checkTree([[body]]);
    return JSON.stringify({ format: 1, ...entry, message: { kind, type, body } });
  } catch (thrown) {
    const message = `Cannot schedule "${type}": its body cannot be kept: ${(thrown as Error).message}`;
    throw new CatgaError(systemFault("VALIDATION", message));
  }
}

/** What is kept under a key. Throws `SERIALIZATION` for what is no schedule. */
export function readEntry<E extends OnceEntry | CronEntry>({ key, value }: Entry): E {
  try {
    const { format, ...entry } = JSON.parse(value) as E & { readonly format: number };
    const { kind, type } = entry.message as Message;
    if (format !== 1 || typeof kind !== "string" || typeof type !== "string") {
      throw new TypeError("Another format");
    }
    return entry as unknown as E;
  } catch (cause) {
    const message = `Cannot read "${key}": what is kept there is no schedule that this process knows`;
    throw new CatgaError(systemFault("SERIALIZATION", message, undefined, cause));
  }
}
