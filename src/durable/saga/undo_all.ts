import type { Contract } from "../../message/contract.ts";
import type { Answerable } from "../../message/message.ts";
import { ATTEMPTS, type StepHost, TIMEOUT } from "./asks.ts";
import type { Instance } from "./instance.ts";
import type { JournalRecord, KeptMessage } from "./saga_record.ts";
import { sendStep } from "./send_step.ts";
import { keptFault } from "./settle_step.ts";

/** What undoing needs beside what running needs. */
export interface UndoHost extends StepHost {
  /** The contract of that name, if anybody has told. */
  contract(type: string): Contract | undefined;
}

/**
 * Undoes what the steps of an instance did, the last one first; one that cannot be undone keeps none before it from
 * being tried. Answers whether it came to its end, rather than being stopped or lost.
 */
export async function undoAll(instance: Instance, host: UndoHost, stop: AbortSignal): Promise<boolean> {
  for (;;) {
    const record = lastToUndo(instance.record.journal);
    if (record === undefined) return true;
    host.counted("undos");
    const sent = await sendStep(host.dispatcher, host.runtime, {
      message: messageOf(record.undo!, host),
      key: `${instance.id}/${record.key}~undo`,
      timeout: TIMEOUT,
      attempts: ATTEMPTS,
      sent: true,
      stop,
      hurry: stop,
    });
    if (sent === undefined) return false;
    record.undone = sent.result.ok ? true : keptFault(sent.result.error);
    if (!await instance.write()) return false;
  }
}

/** Why an instance is not undone although everything was tried; `undefined` if it is. */
export function notUndone(journal: readonly JournalRecord[]): string | undefined {
  const failed = journal.filter(({ undone }) => typeof undone === "object");
  const unknown = journal.filter(({ order, owed }) => order === undefined && owed === true);
  const reasons = [
    ...failed.map(({ key, undone }) =>
      `the step "${key}" could not be undone: ${(undone as { message: string }).message}`
    ),
    ...unknown.map(({ key }) => `nobody knows whether the step "${key}" happened`),
  ];
  return reasons.length === 0 ? undefined : reasons.join("; ");
}

/** What ended last is undone first; what nobody saw end before all of it. */
function lastToUndo(journal: readonly JournalRecord[]): JournalRecord | undefined {
  let last: JournalRecord | undefined;
  for (const record of journal) {
    if (record.undo === undefined || record.undone !== undefined) continue;
    if (last === undefined || (record.order ?? Infinity) >= (last.order ?? Infinity)) last = record;
  }
  return last;
}

/** A message as its contract would make it, so that it takes the way that its contract says. */
function messageOf({ kind, type, body }: KeptMessage, host: UndoHost): Answerable {
  const make = host.contract(type);
  return (make === undefined ? { kind, type, body } : make(body)) as Answerable;
}
