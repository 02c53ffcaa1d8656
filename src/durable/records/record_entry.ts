import { CatgaError, systemFault } from "../../result.ts";
import type { Entry } from "../../ports/store.ts";

/** The message that a change was made because of, for one of its handlers: its id, then group and step if there are. */
export type AppliedMark = readonly [id: string, group?: string, step?: string];

/** A message that waits to be told. */
export interface PendingMessage {
  readonly id: string;
  readonly topic: string;
  /** Messages of one key are handled in their order. */
  readonly key: string;
  /** What is put into the queue. */
  readonly payload: string;
}

/** What is kept under the key of a record: its state, what it still has to tell and what was applied to it. */
export interface RecordEntry {
  /** The state as JSON; left out of a record that is not there. */
  readonly state?: string | undefined;
  readonly outbox: readonly PendingMessage[];
  /** The newest last. */
  readonly applied: readonly AppliedMark[];
  /** Whether marks have left `applied` for entries of their own. */
  readonly moved: boolean;
  /** How many updates there were. */
  readonly updates: number;
  /** Names of the last updates, the newest last, by which one whose answer was lost is known again. */
  readonly recent: readonly string[];
  /** How long it stays when there is neither state nor outbox, in ms. */
  readonly stay: number;
}

/** How many updates are known by name. */
export const RECENT = 16;

/** How long the place of a record without a state stays, in ms: longer than an update of it may take. */
export const STAY = 120_000;

/** A record that was never there. */
export const NOTHING: RecordEntry = {
  outbox: [],
  applied: [],
  moved: false,
  updates: 0,
  recent: [],
  stay: STAY,
};

const RECORDS = "records/";
const OUTBOX = "outbox/";

/** What the keys of all marks begin with that say which records have something to tell. */
export const MARKS: string = OUTBOX;

/** Where a record is kept. */
export function keyOfRecord(name: string, id: string): string {
  return `${RECORDS}${name}/${id}`;
}

/** Where the mark is that says that a record has something to tell. */
export function markOfRecord(key: string): string {
  return OUTBOX + key.slice(RECORDS.length);
}

/** The record that a mark is about. */
export function recordOfMark(mark: string): string {
  return RECORDS + mark.slice(OUTBOX.length);
}

type Head = readonly [
  format: 1,
  outbox: readonly (readonly [id: string, topic: string, key: string])[],
  applied: readonly AppliedMark[],
  moved: 0 | 1,
  updates: number,
  recent: readonly string[],
  stay: number,
];

/**
 * A record as it is kept: a line about it, a line for each message, then its state. None of them has a line break, as
 * all are JSON; and none is JSON within JSON, which would take more room.
 */
export function writeRecord(record: RecordEntry): string {
  const { state, outbox, applied, moved, updates, recent, stay } = record;
  const pending = outbox.map(({ id, topic, key }) => [id, topic, key] as const);
  const head: Head = [1, pending, applied, moved ? 1 : 0, updates, recent, stay];
  return [JSON.stringify(head), ...outbox.map(({ payload }) => payload), state ?? ""].join("\n");
}

/** What is kept of a record. Throws `SERIALIZATION` for what no record is kept as. */
export function readRecord(entry: Entry | undefined): RecordEntry {
  if (entry === undefined) return NOTHING;
  try {
    const [first = "", ...lines] = entry.value.split("\n");
    const [format, pending, applied, moved, updates, recent, stay] = JSON.parse(first) as Head;
    if (format !== 1 || lines.length !== pending.length + 1) throw new TypeError("It has another format");
    const outbox = pending.map(([id, topic, key], at) => ({ id, topic, key, payload: lines[at]! }));
    return { state: lines.at(-1) || undefined, outbox, applied, moved: moved === 1, updates, recent, stay };
  } catch (cause) {
    const message = `Cannot read "${entry.key}": what is kept there is no record that this process knows`;
    throw new CatgaError(systemFault("SERIALIZATION", message, undefined, cause));
  }
}

/** How long a record is to be kept, in ms; `undefined` for ever. */
export function ttlOf({ state, outbox, stay }: RecordEntry): number | undefined {
  return state === undefined && outbox.length === 0 ? stay : undefined;
}
