import { parseJson } from "../../internal/safe_json.ts";
import type { Kind } from "../../message/message.ts";
import type { Entry } from "../../ports/store.ts";
import type { KeptFault } from "./saga.ts";

/** What the names of all instances, of those that are not done, of what they wait for and of executors begin with. */
export const INSTANCES = "sagas/of/";
export const LIVE = "sagas/live/";
export const UNTIL = "sagas/until/";
export const SESSIONS = "sagas/by/";
/** Where what only waits for time stands; no contract can have this name. */
export const TIME = "~";

/** How many steps, sleeps and waits an instance may have. */
export const STEPS = 1000;
/** How many characters an instance may have: to do more, to take an answer, and to owe an undo; a store takes 262,144. */
export const GROWING = 180_000;
export const ANSWERED = 220_000;
export const UNDOABLE = 240_000;

/** Where an instance is. */
export type SagaStatus = "running" | "compensating" | "completed" | "compensated" | "stuck";

/** A message as it is kept. */
export interface KeptMessage {
  readonly kind: Kind;
  readonly type: string;
  readonly body?: unknown;
}

/** One thing that an instance did or waits for. They stand in the order in which the function asked for them. */
export interface JournalRecord {
  readonly key: string;
  readonly kind: "step" | "sleep" | "wait" | "now" | "random";
  /** The contract of a step or wait. */
  readonly type?: string;
  /** Of the body of a step, to know it again. */
  readonly hash?: number;
  readonly ms?: number;
  readonly match?: unknown;
  /** Counts what has come to its end, in that order. */
  order?: number;
  value?: unknown;
  fault?: KeptFault;
  /** Nobody knows whether the step happened. */
  doubt?: true;
  /** The id of the event that a wait ended with. */
  event?: string;
  undo?: KeptMessage;
  /** Its undo would have to be made of an answer. */
  owed?: true;
  undone?: true | KeptFault;
}

/** What is kept of an instance. */
export interface SagaRecord {
  readonly type: string;
  readonly version: number;
  readonly body?: unknown;
  status: SagaStatus;
  /** The lease of its executor, who alone writes; nobody's if left out. */
  by?: string;
  journal: JournalRecord[];
  cancel?: true;
  value?: unknown;
  /** Why it is compensated; there once that has begun. */
  fault?: KeptFault;
  /** Why it is stuck. */
  reason?: string;
  /** By wall clocks, in ms since 1970. */
  readonly started: number;
  changed: number;
}

/** What is told of an instance that is not done, for all executors to see. */
export interface LiveMark {
  readonly version: number;
  readonly status: SagaStatus;
  readonly by?: string;
  /** Somebody asks that it ends. */
  readonly cancel?: true;
  /** What it waits for while nobody has it. */
  readonly until?: readonly string[];
}

/** What is kept of something waited for. When it is gone its time is over. */
export interface UntilMark {
  readonly id: string;
  readonly match?: unknown;
  readonly event?: { readonly id: string; readonly body?: unknown };
}

/** The key of what an instance waits for. */
export function untilKey(id: string, index: number, type: string = TIME): string {
  return `${UNTIL}${type}/${id}/${index}`;
}

/** The instance that waits for what is kept under a key. */
export function waiterOf(key: string): string {
  const rest = key.slice(UNTIL.length);
  return rest.slice(rest.indexOf("/") + 1, rest.lastIndexOf("/"));
}

/** What an instance waits for just now. */
export function openWaits(id: string, { journal }: SagaRecord): string[] {
  return journal.flatMap((record, index) =>
    record.order !== undefined || (record.kind !== "sleep" && record.kind !== "wait")
      ? []
      : [untilKey(id, index, record.type)]
  );
}

/** Whether nothing more will happen to it. */
export function isDone({ status }: { readonly status: SagaStatus }): boolean {
  return status === "completed" || status === "compensated";
}

/** What a store keeps, read; `undefined` if it is something else. */
export function readRecord<T extends SagaRecord | LiveMark | UntilMark>(
  entry: Entry | undefined,
): T | undefined {
  if (entry === undefined) return undefined;
  try {
    const value = parseJson(entry.value);
    return typeof value === "object" && value !== null ? value as T : undefined;
  } catch {
    return undefined;
  }
}
