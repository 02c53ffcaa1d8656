import { type Fault, faultOf, systemFault } from "../../result.ts";
import { Forward, type ForwardEnd } from "./forward.ts";
import type { Instance } from "./instance.ts";
import type { SagaDefinition } from "./saga.ts";
import { ANSWERED, type SagaRecord } from "./saga_record.ts";
import { jsonOf, keptFault, parsed } from "./settle_step.ts";
import { notUndone, undoAll, type UndoHost } from "./undo_all.ts";

/** How a run ended: the instance came to its end or is stuck; it waits; it was given back; another has it. */
export type RunEnd = "done" | "stuck" | "parked" | "given back" | "lost";

/** One executor's work on an instance. */
export class SagaRun {
  readonly instance: Instance;
  readonly #definition: SagaDefinition | undefined;
  readonly #host: UndoHost;
  readonly #stop: AbortController = new AbortController();
  #forward: Forward | undefined;
  #isLost = false;

  /** @param definition needed by an instance that is not compensating yet */
  constructor(instance: Instance, definition: SagaDefinition | undefined, host: UndoHost) {
    this.instance = instance;
    this.#definition = definition;
    this.#host = host;
  }

  /** Works until the instance is done, or goes out of these hands. Never rejects. */
  async run(): Promise<RunEnd> {
    const { record, id } = this.instance;
    try {
      if (record.status === "running") {
        const end = await this.#goForward();
        if (end !== undefined) return end;
      }
      return this.instance.record.status === "compensating" ? await this.#compensate() : "done";
    } catch (thrown) {
      const { message } = faultOf(thrown);
      this.#host.runtime.log({
        level: "error",
        event: "saga.unkept",
        message: `The saga "${id}" cannot be kept, and stands still: ${message}`,
        fields: { saga: id, cause: thrown },
      });
      return "lost";
    }
  }

  /** Nothing more is begun; what is under way comes to its end, then the instance is given back. */
  stop(): void {
    this.#stop.abort();
    this.#forward?.end();
  }

  /** The instance is another's. */
  lose(): void {
    this.#isLost = true;
    this.#stop.abort();
    this.#forward?.lose();
  }

  /** Looks whether somebody asks that it ends. */
  async look(): Promise<void> {
    if (!await this.instance.look()) this.lose();
    else if (this.instance.record.cancel === true) this.#forward?.cancelled();
  }

  /** Runs the function; `undefined` when the instance goes on, or is completed. */
  async #goForward(): Promise<RunEnd | undefined> {
    const forward = this.#forward = new Forward(this.instance, this.#host);
    if (this.#stop.signal.aborted) forward.end();
    const end = await forward.run(this.#definition!);
    this.#forward = undefined;
    if (this.#isLost || end.type === "lost") return "lost";
    const isWritten = await this.instance.write((record) => {
      record.journal = forward.records;
      conclude(record, end);
    });
    if (!isWritten) return "lost";
    const { status } = this.instance.record;
    if (end.type === "stuck") return status === "stuck" ? "stuck" : undefined;
    if (end.type === "parked") return "parked";
    return end.type === "stopped" ? "given back" : undefined;
  }

  async #compensate(): Promise<RunEnd> {
    const { runtime } = this.#host;
    const { id, record } = this.instance;
    runtime.log({
      level: "info",
      event: "saga.compensating",
      message: `The saga "${id}" is undone: ${record.fault?.message}`,
      fields: { saga: id, code: record.fault?.code },
    });
    const isThrough = await undoAll(this.instance, this.#host, this.#stop.signal);
    if (this.#isLost) return "lost";
    const isWritten = await this.instance.write((record) => {
      if (!isThrough) return void delete record.by;
      const reason = notUndone(record.journal);
      record.status = reason === undefined ? "compensated" : "stuck";
      if (reason === undefined) return;
      record.reason = reason;
      delete record.by;
    });
    if (!isWritten) return "lost";
    if (!isThrough) return "given back";
    return this.instance.record.status === "stuck" ? "stuck" : "done";
  }
}

/** Writes down how the function ended. */
function conclude(record: SagaRecord, end: ForwardEnd): void {
  if (end.type === "stuck") {
    record.status = "stuck";
    record.reason = end.reason;
    delete record.by;
    return;
  }
  if (end.type !== "returned") return void delete record.by;
  const fault = record.cancel === true ? cancelledFault() : faultIn(record, end.result);
  if (fault !== undefined) {
    record.status = "compensating";
    record.fault = keptFault(fault);
    delete record.value;
    return;
  }
  const value = end.result.ok ? parsed(jsonOf(end.result.value)!) : undefined;
  record.status = "completed";
  if (value !== undefined) record.value = value;
}

/** What the function failed with, or what keeps its answer from being kept. */
function faultIn(
  { journal }: SagaRecord,
  result: Extract<ForwardEnd, { readonly type: "returned" }>["result"],
): Fault | undefined {
  if (!result.ok) return result.error;
  const text = jsonOf(result.value);
  if (text === undefined) {
    return systemFault("SERIALIZATION", "What the saga answers cannot be kept: it is no JSON");
  }
  if (JSON.stringify(journal).length + text.length <= ANSWERED) return undefined;
  return systemFault(
    "SERIALIZATION",
    `What the saga answers cannot be kept: it has ${text.length} characters`,
  );
}

function cancelledFault(): Fault {
  return systemFault("CANCELLED", "The saga was cancelled");
}
