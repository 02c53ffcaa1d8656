import { CatgaError, failure, type Fault, ok, type Result, systemFault } from "../../result.ts";
import { hash32 } from "../../internal/hash.ts";
import type { Dispatcher } from "../../mediator/types.ts";
import type { Answerable } from "../../message/message.ts";
import type { InstanceHost } from "./instance.ts";
import type { Journal } from "./journal.ts";
import { keptMessage, settleStep, settleWait } from "./settle_step.ts";
import type { StepOptions } from "./saga.ts";
import { type JournalRecord, untilKey } from "./saga_record.ts";
import type { ScopeDoor } from "./scope.ts";
import { sendStep } from "./send_step.ts";
import { putUntil, Until, type UntilHost } from "./until.ts";

/** How long a step may take, in ms, and how often it is tried. */
export const TIMEOUT = 30_000;
export const ATTEMPTS = 20;

/** What steps are done with. */
export interface StepHost extends InstanceHost, UntilHost {
  readonly dispatcher: Dispatcher;
  /** A step is being tried. */
  counted(what: "steps" | "undos"): void;
}

/** One thing that a function asks for. */
export interface Ask {
  readonly record: JournalRecord;
  /** Tells the function what came of it. */
  tell(record: JournalRecord): void;
  /** It cannot be had. */
  refuse(thrown: unknown): void;
  /** Begins it, once it is written down. */
  start(record: JournalRecord, index: number, isNew: boolean): void;
  /** What has to be done before it is written down. */
  prepare?(index: number): Promise<void>;
}

/** The run of a function, for what it asks for. */
export interface AskHost {
  readonly host: StepHost;
  readonly id: string;
  readonly journal: Journal;
  /** Aborts when nothing more is to be begun. */
  readonly stop: AbortSignal;
  /** Aborts when what did not happen need not happen any more. */
  readonly hurry: AbortSignal;
  readonly isOver: boolean;
  readonly isCancelled: boolean;
  ask(ask: Ask): void;
  /** There is something to be written, with what the function asks for next. */
  changed(): void;
  stuck(reason: string): void;
}

/** Does what a function asks for. */
export class Asks implements ScopeDoor {
  readonly id: string;
  /** What is waited for. */
  readonly untils: Set<Until> = new Set();
  /** Steps under way. */
  readonly flying: Set<Promise<void>> = new Set();
  readonly #run: AskHost;
  readonly #refusals: Set<() => void> = new Set();

  constructor(run: AskHost) {
    this.id = run.id;
    this.#run = run;
  }

  /** What is waited for is not to be had: the instance was cancelled. */
  cancelled(): void {
    for (const refuse of [...this.#refusals]) refuse();
  }

  step(key: string, message: Answerable, options: StepOptions<Answerable>): Promise<Result<unknown, Fault>> {
    const { undo } = options;
    const body = JSON.stringify(message.body) as string | undefined;
    const record: JournalRecord = {
      key,
      kind: "step",
      type: message.type,
      hash: hash32(body ?? ""),
      ...(typeof undo === "function"
        ? { owed: true }
        : undo === undefined
        ? {}
        : { undo: keptMessage(undo) }),
    };
    return new Promise((resolve, reject) => {
      const tell = (record: JournalRecord): void =>
        resolve(record.fault === undefined ? ok(record.value) : failure(record.fault));
      const start: Ask["start"] = (record, _index, isNew) => {
        const flight = this.#fly(record, message, options, !isNew, () => tell(record));
        this.flying.add(flight);
        flight.then(() => this.flying.delete(flight));
      };
      this.#run.ask({ record, tell, refuse: reject, start });
    });
  }

  sleep(key: string, ms: number): Promise<void> {
    return this.#until({ key, kind: "sleep", ms }) as Promise<void>;
  }

  wait(key: string, type: string, match: unknown, timeout: number | undefined): Promise<unknown> {
    const record: JournalRecord = {
      key,
      kind: "wait",
      type,
      ...(timeout === undefined ? {} : { ms: timeout }),
      ...(match === undefined ? {} : { match: JSON.parse(JSON.stringify(match)) as unknown }),
    };
    return this.#until(record);
  }

  now(key: string): number {
    return this.#value({ key, kind: "now" }, () => this.#run.host.runtime.clock.wall());
  }

  random(key: string): number {
    return this.#value({ key, kind: "random" }, () => this.#run.host.runtime.random.u32() / 2 ** 32);
  }

  #value(record: JournalRecord, make: () => number): number {
    record.value = make();
    return (this.#run.journal.ask(record)?.record ?? record).value as number;
  }

  #until(record: JournalRecord): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const tell = ({ fault, value }: JournalRecord): void =>
        fault === undefined ? resolve(value) : reject(new CatgaError(fault));
      const refuse = (): void => reject(cancelledFault(this.id, record.key));
      const prepare = (index: number, anew = false): Promise<void> => {
        const { type, match, ms } = record;
        const mark = match === undefined ? { id: this.id } : { id: this.id, match };
        const key = untilKey(this.id, index, type);
        return putUntil(this.#run.host, { key, mark, ttl: ms === 0 ? 1 : ms, anew }, this.#run.stop);
      };
      const start: Ask["start"] = (record, index, isNew) => {
        const run = this.#run;
        if (run.isOver) return;
        if (run.isCancelled) return refuse();
        this.#refusals.add(refuse);
        const key = untilKey(this.id, index, record.type);
        const until = new Until(run.host, key, isNew ? record.ms : undefined, (event) => {
          if (run.isOver) return false;
          if (event !== undefined && run.journal.records.some((record) => record.event === event.id)) {
            // An event that was told twice is taken once.
            run.host.runtime.background(prepare(index, true));
            return false;
          }
          this.#refusals.delete(refuse);
          this.untils.delete(until);
          if (event !== undefined) settleWait(record, event, run.journal.size);
          run.changed();
          run.journal.settle(record, () => tell(record));
          return true;
        });
        this.untils.add(until);
      };
      this.#run.ask({ record, tell, refuse: reject, start, prepare });
    });
  }

  async #fly(
    record: JournalRecord,
    message: Answerable,
    { undo, timeout = TIMEOUT, attempts = ATTEMPTS }: StepOptions<Answerable>,
    sent: boolean,
    tell: () => void,
  ): Promise<void> {
    const { host, stop, hurry, journal } = this.#run;
    host.counted("steps");
    const outcome = await sendStep(host.dispatcher, host.runtime, {
      message,
      key: `${this.id}/${record.key}`,
      timeout,
      attempts,
      sent,
      stop,
      hurry,
    });
    if (outcome === undefined) return;
    const reason = settleStep(record, outcome, undo, journal.size);
    if (reason !== undefined) return this.#run.stuck(reason);
    this.#run.changed();
    journal.settle(record, tell);
  }
}

/** What an instance that was cancelled gets for what it asks for. */
export function cancelledFault(id: string, key: string): CatgaError {
  const message = `Cannot do "${key}": the saga "${id}" was cancelled`;
  return new CatgaError(systemFault("CANCELLED", message));
}
