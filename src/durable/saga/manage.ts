import { CatgaError, type SystemCode, systemFault } from "../../result.ts";
import type { Entry, ListOptions } from "../../ports/store.ts";
import { pages } from "../pages.ts";
import type { KeptFault } from "./saga.ts";
import type { SagaKeep } from "./keep.ts";
import {
  INSTANCES,
  isDone,
  type JournalRecord,
  LIVE,
  readRecord,
  type SagaRecord,
  type SagaStatus,
  SESSIONS,
} from "./saga_record.ts";

/** One thing that an instance did or waits for, to be looked at. */
export interface SagaStepState {
  /** Its name, with the branches that lead to it. */
  readonly name: string;
  /** What it is. */
  readonly kind: "step" | "sleep" | "wait" | "now" | "random";
  /** The contract of its message or event. */
  readonly type: string | undefined;
  /** Where it is. */
  readonly state: "open" | "done" | "failed" | "in doubt" | "undone" | "not undone";
  /** What it failed with, or what its undo failed with. */
  readonly fault: KeptFault | undefined;
}

/** An instance, to be looked at. */
export interface SagaState {
  /** Its name: that of its contract, `/` and its key. */
  readonly id: string;
  /** The contract that began it. */
  readonly type: string;
  /** The code that it runs. */
  readonly version: number;
  /** Where it is. */
  readonly status: SagaStatus;
  /** What it was begun with. */
  readonly body: unknown;
  /** What it answered. */
  readonly value: unknown;
  /** Why it is undone. */
  readonly fault: KeptFault | undefined;
  /** Why it is stuck. */
  readonly reason: string | undefined;
  /** The node that runs it, or ended it; `undefined` while nobody has to have it. */
  readonly node: string | undefined;
  /** Whether somebody asked that it ends. */
  readonly cancelled: boolean;
  /** What it did, in the order in which it began. */
  readonly steps: readonly SagaStepState[];
  /** When it was begun, in ms since 1970 by the wall clock of who did that. */
  readonly started: number;
  /** When it changed last, likewise. */
  readonly changed: number;
}

/** What `sagas.list` takes. */
export interface SagaListOptions {
  /** Only those that are there; all that are not done if left out. */
  readonly status?: SagaStatus | undefined;
  /** Only those that come after this id: the last one of the page before. They are in the order of their ids. */
  readonly after?: string | undefined;
  /** How many at most. @default 100 */
  readonly limit?: number | undefined;
}

/** Instances by where they are. */
export async function listSagas(
  keep: SagaKeep,
  { status, after, limit = 100 }: SagaListOptions,
): Promise<readonly SagaState[]> {
  const isOver = status !== undefined && isDone({ status });
  const prefix = isOver ? INSTANCES : LIVE;
  const list = (page: ListOptions): Promise<readonly Entry[]> =>
    keep.ask((store, signal) => store.list(prefix, { ...page, signal }));
  const states: SagaState[] = [];
  for await (const entries of pages(list, after && prefix + after)) {
    for (const entry of entries) {
      if (states.length >= limit) return states;
      const id = entry.key.slice(prefix.length);
      const record = isOver ? readRecord<SagaRecord>(entry) : (await keep.find(id))?.record;
      if (record === undefined || isDone(record) !== isOver) continue;
      if (status === undefined || record.status === status) states.push(stateOf(id, record));
    }
  }
  return states;
}

/** Lets one that is stuck go on where it is. */
export async function resumeSaga(keep: SagaKeep, id: string, signal: AbortSignal): Promise<void> {
  await change(keep, id, signal, (record) => {
    if (record.status !== "stuck") {
      refuse("CONFLICT", `Cannot resume the saga "${id}": it is ${record.status}, not stuck`);
    }
    record.status = record.fault === undefined ? "running" : "compensating";
    for (const step of record.journal) if (typeof step.undone === "object") delete step.undone;
    delete record.reason;
    delete record.by;
  });
}

/** Lets one end: it is undone as if it had failed. */
export async function cancelSaga(keep: SagaKeep, id: string, signal: AbortSignal): Promise<void> {
  await change(keep, id, signal, (record) => {
    const { status } = record;
    if (isDone(record) || record.fault !== undefined) {
      refuse(
        "CONFLICT",
        `Cannot cancel the saga "${id}": it is ${status}${isDone(record) ? "" : " and undone already"}`,
      );
    }
    record.cancel = true;
    if (status !== "stuck") return;
    record.status = "compensating";
    record.fault = systemFault("CANCELLED", `The saga was cancelled when it was stuck: ${record.reason}`);
    delete record.reason;
    delete record.by;
  });
}

async function change(
  keep: SagaKeep,
  id: string,
  signal: AbortSignal,
  edit: (record: SagaRecord) => void,
): Promise<void> {
  for (;;) {
    const found = await keep.find(id);
    if (found === undefined) refuse("NO_HANDLER", `There is no saga "${id}", or none any more`);
    const { record, revision } = found;
    edit(record);
    if (await keep.put(id, record, revision) === undefined) continue;
    return await keep.mark(id, record, signal);
  }
}

/** What is shown of an instance. */
export function stateOf(id: string, record: SagaRecord): SagaState {
  const { type, version, status, body, value, fault, reason, started, changed } = record;
  const steps = record.journal.map(stepOf);
  const cancelled = record.cancel === true;
  const { by } = record;
  const node = by?.slice(SESSIONS.length, by.lastIndexOf("/"));
  return { id, type, version, status, body, value, fault, reason, node, cancelled, steps, started, changed };
}

function stepOf({ key, kind, type, order, fault, doubt, value, undone }: JournalRecord): SagaStepState {
  const isOpen = order === undefined && value === undefined;
  let state: SagaStepState["state"] = isOpen ? "open" : fault === undefined ? "done" : "failed";
  if (doubt === true) state = "in doubt";
  if (undone !== undefined) state = undone === true ? "undone" : "not undone";
  return { name: key, kind, type, state, fault: typeof undone === "object" ? undone : fault };
}

function refuse(code: SystemCode, message: string): never {
  throw new CatgaError(systemFault(code, message));
}
