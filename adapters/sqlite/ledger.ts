import { CatgaError, systemFault } from "../../src/result.ts";
import type { Clock, Random } from "../../src/ports/runtime.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";
import { backoff } from "../../src/internal/backoff.ts";
import { sleep } from "../../src/internal/sleep.ts";
import type { SqlDatabase, SqlStatement } from "./driver.ts";
import { isBusy, sqliteFault } from "./faults.ts";
import type { Job } from "./job.ts";
import { type StateRow, stateRow } from "./ledger_state.ts";
import { Pulse } from "./pulse.ts";
import { StoreClock } from "./store_clock.ts";
import type { Transaction } from "./transaction.ts";
import { Writer } from "./writer.ts";

/** The longest pause before a read that was refused is tried again, in ms. */
const PATIENCE = 20;

/** What a {@linkcode Ledger} takes. */
export interface LedgerOptions {
  readonly path: string;
  readonly runtime: { readonly clock: Clock; readonly random: Random };
  /** How long to go on trying while others write, in ms. */
  readonly busy: number;
  /** How many pages the file may have. */
  readonly pages: number;
}

/** One connection to a file. */
export class Ledger {
  readonly db: SqlDatabase;
  readonly clock: StoreClock;
  readonly pulse: Pulse;
  readonly state: StateRow;
  readonly #options: LedgerOptions;
  readonly #writer: Writer;
  readonly #look: SqlStatement<unknown>;
  readonly #leave: SqlStatement<unknown>;
  #closed: Promise<void> | undefined;

  constructor(db: SqlDatabase, options: LedgerOptions) {
    const { path, runtime: { clock, random }, busy, pages } = options;
    this.db = db;
    this.#options = options;
    this.#look = db.prepare("BEGIN");
    this.#leave = db.prepare("ROLLBACK");
    this.state = stateRow(db);
    const mark = this.state.read();
    this.clock = new StoreClock(clock, mark.clock === 0 ? undefined : mark);
    const version = db.prepare<{ readonly data_version: number }>("PRAGMA data_version");
    this.pulse = new Pulse(clock, () => this.#version(version), () => this.#heed());
    const wake = (areas: ReadonlySet<string>): void => this.pulse.wake(areas);
    this.#writer = new Writer({
      db,
      path,
      clock,
      random,
      busy,
      pages,
      time: this.clock,
      state: this.state,
      wake,
    });
  }

  /** Reads at once; only where the file is being repaired after a crash it waits. */
  read<T>(what: string, signal: AbortSignal | undefined, work: (now: number) => T): Promise<T> {
    const refusal = this.#refusal(what, signal);
    if (refusal !== undefined) return Promise.reject(refusal);
    try {
      return Promise.resolve(work(this.clock.now()));
    } catch (thrown) {
      if (!isBusy(thrown)) return Promise.reject(sqliteFault(what, this.#options.path, thrown, false));
      return this.#readAgain(what, signal, work);
    }
  }

  /** Several reads of one instant. */
  snapshot<T>(work: () => T): T {
    this.#look.run();
    try {
      return work();
    } finally {
      this.#leave.run();
    }
  }

  /**
   * Writes, together with whatever else is to be written in this turn; settles when it is durable. Work checks
   * first and writes then: what it has written before it throws a `CatgaError` stays.
   *
   * @param size how many characters or bytes it carries
   * @param frees whether it makes room in the end, so that it has to go on where nothing else does
   */
  write<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: (tx: Transaction) => T,
    size: number = 0,
    frees: boolean = false,
  ): Promise<T> {
    const refusal = this.#refusal(what, signal) ?? this.#overload(what);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise<T>((resolve, reject) => {
      const since = this.#options.runtime.clock.mono();
      // All fields one by one: a spread is slower, and this is what each write costs.
      const job: Job = {
        what,
        work,
        resolve,
        reject,
        since,
        size,
        frees,
        signal,
        over: false,
        done: undefined,
        outcome: undefined,
        error: undefined,
      };
      this.#writer.add(job);
    });
  }

  /** Writes what makes room in the end. */
  free<T>(what: string, signal: AbortSignal | undefined, work: (tx: Transaction) => T): Promise<T> {
    return this.write(what, signal, work, 0, true);
  }

  /** Writes what was asked for, then lets go of the file. */
  close(): Promise<void> {
    return this.#closed ??= this.#writer.drain().then(() => {
      this.pulse.end();
      this.db.close();
    });
  }

  async #readAgain<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: (now: number) => T,
  ): Promise<T> {
    const { path, runtime: { clock, random }, busy } = this.#options;
    const until = clock.mono() + busy;
    for (let failures = 1;; failures++) {
      await sleep(clock, 1 + backoff(failures, 1, PATIENCE, random.u32()), signal);
      const refusal = this.#refusal(what, signal);
      if (refusal !== undefined) throw refusal;
      try {
        return work(this.clock.now());
      } catch (thrown) {
        if (!isBusy(thrown) || clock.mono() > until) throw sqliteFault(what, path, thrown, false);
      }
    }
  }

  #version(statement: SqlStatement<{ readonly data_version: number }>): unknown {
    try {
      return statement.get()?.data_version;
    } catch {
      // Whoever waits will look for himself, and hear why it failed.
      return undefined;
    }
  }

  /** Tells the others that the machine's clock has jumped, before one of them begins by it. */
  #heed(): void {
    if (this.clock.jumped()) {
      this.write("keep the time", undefined, (tx) => void tx.told.add("time")).catch(() => {});
    }
  }

  #refusal(what: string, signal: AbortSignal | undefined): CatgaError | undefined {
    if (signal?.aborted) return storeCancelled(what);
    if (this.#closed === undefined) return undefined;
    const message = `Cannot ${what}: the storage in "${this.#options.path}" is closed`;
    return new CatgaError(systemFault("UNAVAILABLE", message));
  }

  #overload(what: string): CatgaError | undefined {
    if (!this.#writer.isFull) return undefined;
    const message = `Cannot ${what}: too many wait already to write to "${this.#options.path}"`;
    return new CatgaError(systemFault("OVERLOADED", message));
  }
}
