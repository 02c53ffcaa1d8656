import { CatgaError } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import { INSTANCES, isDone, readRecord, type SagaRecord } from "./saga_record.ts";

/** How long to wait after the store has failed, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 2000;

/** What {@linkcode Instance} stands on. */
export interface InstanceHost {
  readonly store: Store;
  readonly runtime: Runtime;
  /** How long the store may take, in ms. */
  readonly patience: number;
  /** How long what is done is kept, in ms. */
  readonly retention: number;
}

/**
 * An instance in the hands of its executor. It is written by compare-and-set, and only for as long as the store names
 * the lease that it was taken by: a late executor changes nothing.
 */
export class Instance {
  readonly id: string;
  readonly session: string;
  readonly #host: InstanceHost;
  readonly #signal: AbortSignal;
  record: SagaRecord;
  #revision: number;
  #writing: Promise<unknown> = Promise.resolve();

  /** @param signal aborts when the lease is over */
  constructor(
    id: string,
    session: string,
    found: { readonly record: SagaRecord; readonly revision: number },
    signal: AbortSignal,
    host: InstanceHost,
  ) {
    this.id = id;
    this.session = session;
    this.record = found.record;
    this.#revision = found.revision;
    this.#signal = signal;
    this.#host = host;
  }

  /**
   * Writes it as it is now; whether it is written. It is not when another has it or the lease is over.
   *
   * @param change makes the last changes, each time before it is tried
   */
  write(change: (record: SagaRecord) => void = () => {}): Promise<boolean> {
    const written = this.#writing.then(() => this.#write(change));
    this.#writing = written.catch(() => {});
    return written;
  }

  /** Looks for what others ask of it; whether it is still in these hands. */
  look(): Promise<boolean> {
    const looked = this.#writing.then(() => this.#adopt()).then(
      (found) => found !== undefined,
      () => !this.#signal.aborted,
    );
    this.#writing = looked;
    return looked;
  }

  async #write(change: (record: SagaRecord) => void): Promise<boolean> {
    const { runtime, retention } = this.#host;
    const key = INSTANCES + this.id;
    for (let failures = 1; !this.#signal.aborted; failures++) {
      try {
        change(this.record);
        this.record.changed = runtime.clock.wall();
        const ttl = isDone(this.record) ? retention : undefined;
        const value = JSON.stringify(this.record);
        const expected = this.#revision;
        this.#revision = await this.#ask((store, signal) => store.put(key, value, { expected, ttl, signal }));
        return true;
      } catch (thrown) {
        if (!CatgaError.is(thrown) || thrown.code === "VALIDATION") throw thrown;
        if (thrown.code !== "CONFLICT") await this.#rest(failures);
      }
      // It may be written all the same, or changed by another: what is there decides.
      for (let tries = 1; !this.#signal.aborted; tries++) {
        try {
          const found = await this.#adopt();
          if (found === undefined) return false;
          // Nobody else ends it, so it was this write or one before it.
          if (isDone(found)) return true;
          break;
        } catch {
          await this.#rest(tries);
        }
      }
    }
    return false;
  }

  /** Takes over what others wrote into it, and answers what is there; `undefined` when it is not in these hands. */
  async #adopt(): Promise<SagaRecord | undefined> {
    const entry: Entry | undefined = await this.#ask((store, signal) =>
      store.get(INSTANCES + this.id, { signal })
    );
    const found = readRecord<SagaRecord>(entry);
    if (entry === undefined || found?.by !== this.session) return undefined;
    this.#revision = entry.revision;
    if (isDone(found)) this.record = found;
    else if (found.cancel === true) this.record.cancel = true;
    return found;
  }

  #rest(failures: number): Promise<void> {
    const { clock, random } = this.#host.runtime;
    return sleep(clock, backoff(failures, DELAY, LONGEST, random.u32()), this.#signal);
  }

  #ask<T>(ask: (store: Store, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { store, runtime, patience } = this.#host;
    const signal = this.#signal;
    return askStore({ clock: runtime.clock, limit: patience, signal }, (signal) => ask(store, signal));
  }
}
