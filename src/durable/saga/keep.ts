import { CatgaError } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import {
  INSTANCES,
  isDone,
  LIVE,
  type LiveMark,
  openWaits,
  readRecord,
  type SagaRecord,
  untilKey,
} from "./saga_record.ts";

/** How long to wait after the store has failed, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 2000;

/** An instance as it was found. */
export interface Found {
  readonly record: SagaRecord;
  readonly revision: number;
}

/** What all parts ask of the store about instances and their marks. */
export class SagaKeep {
  readonly #store: Store;
  readonly #runtime: Runtime;
  readonly #patience: number;

  /** @param patience how long the store may take, in ms */
  constructor(store: Store, runtime: Runtime, patience: number) {
    this.#store = store;
    this.#runtime = runtime;
    this.#patience = patience;
  }

  ask<T>(ask: (store: Store, signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const limits = { clock: this.#runtime.clock, limit: this.#patience, signal };
    return askStore(limits, (signal) => ask(this.#store, signal));
  }

  /** An instance as it is kept. */
  async find(id: string): Promise<Found | undefined> {
    const entry: Entry | undefined = await this.ask((store, signal) => store.get(INSTANCES + id, { signal }));
    const record = readRecord<SagaRecord>(entry);
    return record && { record, revision: entry!.revision };
  }

  /**
   * Writes an instance over what was found, or where there was nothing. Whether it is there now as it was written;
   * another may have been faster.
   */
  async put(id: string, record: SagaRecord, expected: number | "absent"): Promise<number | undefined> {
    const value = JSON.stringify(record);
    try {
      return await this.ask((store, signal) => store.put(INSTANCES + id, value, { expected, signal }));
    } catch (thrown) {
      if (!CatgaError.is(thrown) || (thrown.code !== "CONFLICT" && thrown.code !== "TRANSPORT")) throw thrown;
      const entry = await this.ask((store, signal) => store.get(INSTANCES + id, { signal }));
      if (entry?.value === value) return entry.revision;
      // A lost write that never came, or is still on its way, is for the caller to try again.
      if (thrown.code === "TRANSPORT" && (entry?.revision ?? "absent") === expected) throw thrown;
      return undefined;
    }
  }

  /** Says of an instance what is so; tries again until the signal aborts. */
  async mark(id: string, record: SagaRecord | undefined, signal: AbortSignal): Promise<void> {
    const mark = record && markOf(id, record);
    await this.#insist(signal, async () => {
      if (record === undefined || mark === undefined) {
        if (record !== undefined) await this.#tidy(id, record, signal);
        await this.ask((store, signal) => store.delete(LIVE + id, { signal }), signal);
      } else {
        await this.ask((store, signal) => store.put(LIVE + id, JSON.stringify(mark), { signal }), signal);
      }
    });
  }

  /** Says that an instance is about to be there, unless something is said of it. */
  async announce(id: string, record: SagaRecord): Promise<void> {
    const value = JSON.stringify(markOf(id, record));
    await this.ask((store, signal) => store.put(LIVE + id, value, { expected: "absent", signal })).catch(
      (thrown: unknown) => {
        if (!CatgaError.is(thrown) || thrown.code !== "CONFLICT") throw thrown;
      },
    );
  }

  /** What an instance that is done has waited for is of no use any more. */
  async #tidy(id: string, { journal }: SagaRecord, signal: AbortSignal): Promise<void> {
    const keys = journal.flatMap(({ kind, type }, index) =>
      kind === "wait" || kind === "sleep" ? [untilKey(id, index, type)] : []
    );
    for (const key of keys) await this.ask((store, signal) => store.delete(key, { signal }), signal);
  }

  async #insist(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { clock, random } = this.#runtime;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        return await work();
      } catch {
        await sleep(clock, backoff(failures, DELAY, LONGEST, random.u32()), signal);
      }
    }
  }
}

/** What is said of an instance; nothing of one that is done. */
function markOf(id: string, record: SagaRecord): LiveMark | undefined {
  const { version, status, by, cancel } = record;
  if (isDone(record)) return undefined;
  const mark: LiveMark = { version, status, ...(by && { by }), ...(cancel && { cancel }) };
  const until = by !== undefined || cancel === true || status !== "running" ? [] : openWaits(id, record);
  return until.length === 0 ? mark : { ...mark, until };
}
