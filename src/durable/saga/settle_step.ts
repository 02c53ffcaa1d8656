import { type Fault, systemFault } from "../../result.ts";
import type { Answerable } from "../../message/message.ts";
import type { KeptFault, StepOptions } from "./saga.ts";
import { ANSWERED, type JournalRecord, type KeptMessage, UNDOABLE, type UntilMark } from "./saga_record.ts";
import type { Sent } from "./send_step.ts";

/**
 * Writes down what came of a step, and what undoes it. Answers why nobody can go on, if that is so.
 *
 * @param size how many characters the journal has
 */
export function settleStep(
  record: JournalRecord,
  { result, doubt }: Sent,
  undo: StepOptions<Answerable>["undo"],
  size: number,
): string | undefined {
  const { key } = record;
  if (!result.ok) {
    const { code, message } = result.error;
    if (doubt && record.owed === true && code !== "INTERNAL") {
      return `Nobody knows whether the step "${key}" happened, so it can be neither counted on nor undone: ${message}`;
    }
    record.fault = keptFault(result.error);
    if (!doubt) delete record.undo;
    else if (record.undo !== undefined) record.doubt = true;
    return undefined;
  }
  const text = jsonOf(result.value);
  const value = text === undefined ? result.value : parsed(text);
  if (typeof undo === "function") {
    const made = undoOf(undo, value);
    if (typeof made === "string") return `Nobody can tell how to undo the step "${key}": ${made}`;
    if (size + JSON.stringify(made).length > UNDOABLE) {
      return `There is no room for what undoes the step "${key}"`;
    }
    record.undo = made;
  }
  if (text === undefined) {
    record.fault = systemFault(
      "SERIALIZATION",
      `The answer of the step "${key}" cannot be kept: it is no JSON`,
    );
  } else if (size + text.length > ANSWERED) {
    const message = `The answer of the step "${key}" cannot be kept: with its ${text.length} characters ` +
      `the saga has more than ${ANSWERED}; let it answer less`;
    record.fault = systemFault("SERIALIZATION", message);
  } else if (value !== undefined) {
    record.value = value;
  }
  return undefined;
}

/** Writes down the event that a wait ended with. */
export function settleWait(
  record: JournalRecord,
  { id, body }: NonNullable<UntilMark["event"]>,
  size: number,
): void {
  record.event = id;
  if (size + JSON.stringify([body]).length <= ANSWERED) {
    if (body !== undefined) record.value = body;
    return;
  }
  const message =
    `The event that "${record.key}" waited for cannot be kept: the saga would have more than ${ANSWERED} characters`;
  record.fault = systemFault("OVERLOADED", message);
}

/** A message without its contract. Throws where its body is no JSON. */
export function keptMessage({ kind, type, body }: Answerable): KeptMessage {
  const text = JSON.stringify(body) as string | undefined;
  return text === undefined ? { kind, type } : { kind, type, body: JSON.parse(text) as unknown };
}

/** A fault without what cannot be kept of it. */
export function keptFault({ code, message, data, retryable }: Fault | KeptFault): KeptFault {
  const text = jsonOf(data);
  return { code, message, data: text === undefined ? undefined : parsed(text), retryable };
}

/** A value as JSON; `undefined` if it is none. `""` stands for a value that is `undefined`. */
export function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value) as string | undefined ?? "";
  } catch {
    return undefined;
  }
}

/** What {@linkcode jsonOf} made a text of. */
export function parsed(text: string): unknown {
  return text === "" ? undefined : JSON.parse(text) as unknown;
}

function undoOf(undo: (answer: never) => Answerable, answer: unknown): KeptMessage | string {
  try {
    return keptMessage(undo(answer as never));
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
