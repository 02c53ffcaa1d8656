import { CatgaError } from "../../src/result.ts";
import type { Clock, Random } from "../../src/ports/runtime.ts";
import { backoff } from "../../src/internal/backoff.ts";
import { createTurn } from "../../src/internal/turn.ts";
import type { SqlDatabase, SqlStatement } from "./driver.ts";
import { isBusy, isFull, sqliteFault } from "./faults.ts";
import { heedSignal, type Job, settle } from "./job.ts";
import { JobQueue } from "./job_queue.ts";
import { isSameState, type LedgerState, type StateRow } from "./ledger_state.ts";
import type { StoreClock } from "./store_clock.ts";
import { Transaction } from "./transaction.ts";

/** How long one transaction goes on taking work, and how long transactions follow each other without a rest, in ms. */
const SLICE = 20;
/** How long others get then, in ms: processes that wait for the file, and the event loop. */
const REST = 1;
/** How many pages are kept back for what makes room: this part of all, and so many more. */
const RESERVE = 0.02;
const PAGES = 64;
/** The longest pause before the file is asked for again, in ms. */
const PATIENCE = 20;

/** What a {@linkcode Writer} works with. */
export interface WriterHost {
  readonly db: SqlDatabase;
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  /** How long to go on trying while others write, in ms. */
  readonly busy: number;
  /** How many pages the file may have. */
  readonly pages: number;
  /** The clock of the file, and the row in which it is kept. */
  readonly time: StoreClock;
  readonly state: StateRow;
  /** Is told what has changed. */
  wake(areas: ReadonlySet<string>): void;
}

/** Makes what is to be written in one turn one transaction, in which each job has an outcome of its own. */
export class Writer {
  readonly #host: WriterHost;
  readonly #schedule: () => void;
  /** What a full file is allowed to have, while it is made room in, and else. */
  readonly #raise: SqlStatement<unknown>;
  readonly #lower: SqlStatement<unknown>;
  readonly #begin: SqlStatement<unknown>;
  readonly #commit: SqlStatement<unknown>;
  readonly #rollback: SqlStatement<unknown>;
  readonly #version: SqlStatement<{ readonly data_version: number }>;
  readonly #jobs: JobQueue = new JobQueue();
  /** How many transactions are to have only one job, as one of a batch spoiled it. */
  #alone = 0;
  #burst = 0;
  #ended = 0;
  #failures = 0;
  /** What was counted when this process wrote last, and what changes when another has written since. */
  #state: LedgerState | undefined;
  #seen: number | undefined;
  #isResting = false;
  #drained: (() => void) | undefined;

  constructor(host: WriterHost) {
    this.#host = host;
    const most = (pages: number): SqlStatement<unknown> =>
      host.db.prepare(`PRAGMA max_page_count = ${pages}`);
    this.#raise = most(Math.ceil(host.pages * (1 + RESERVE)) + PAGES);
    this.#lower = most(host.pages);
    this.#begin = host.db.prepare("BEGIN IMMEDIATE");
    this.#commit = host.db.prepare("COMMIT");
    this.#rollback = host.db.prepare("ROLLBACK");
    this.#version = host.db.prepare("PRAGMA data_version");
    this.#schedule = createTurn(() => this.#jobs.length, () => this.#run());
  }

  /** Whether no more may wait. */
  get isFull(): boolean {
    return this.#jobs.isFull;
  }

  add(job: Job): void {
    this.#jobs.push(job);
    if (this.#isResting) heedSignal(job);
    else this.#schedule();
  }

  /** Waits until there are no more. */
  drain(): Promise<void> {
    return this.#jobs.length === 0 ? Promise.resolve() : new Promise((resolve) => this.#drained = resolve);
  }

  #run(): void {
    const started = this.#host.clock.mono();
    if (started - this.#ended > REST) this.#burst = started;
    try {
      this.#begin.run();
    } catch (thrown) {
      return this.#refused(thrown);
    }
    this.#failures = 0;
    this.#transact([], started, false);
    this.#continue();
  }

  /** Does the jobs of a batch, or takes what there is. */
  #transact(batch: Job[], started: number, again: boolean): void {
    let told: ReadonlySet<string>;
    try {
      told = this.#work(batch, started, again);
    } catch (thrown) {
      this.#undo();
      return this.#spoiled(batch, thrown, again);
    }
    try {
      this.#commit.run();
    } catch (thrown) {
      this.#undo();
      if (isFull(thrown)) return this.#spoiled(batch, thrown, again);
      for (const job of batch) settle(job, sqliteFault(job.what, this.#host.path, thrown, true));
      return;
    }
    for (const job of batch) settle(job, job.error);
    this.#host.wake(told);
  }

  #work(batch: Job[], started: number, again: boolean): ReadonlySet<string> {
    const { time, state: row } = this.#host;
    const version = this.#version.get()!.data_version;
    const goesOn = this.#state !== undefined && version === this.#seen;
    const before = goesOn ? this.#state! : row.read();
    const state = { ...before };
    this.#seen = version;
    time.meet(state);
    const tx = new Transaction(state, time.now(), goesOn);
    if (again) { for (const job of batch) this.#do(job, tx); }
    else this.#take(batch, tx, started);
    if (tx.told.size > 0 || !isSameState(before, state)) row.write(Object.assign(state, time.mark()));
    this.#state = state;
    return tx.told;
  }

  #take(batch: Job[], tx: Transaction, started: number): void {
    const most = this.#alone > 0 ? 1 : Infinity;
    if (this.#alone > 0) this.#alone--;
    while (batch.length < most) {
      const job = this.#jobs.take();
      if (job === undefined) break;
      batch.push(job);
      this.#do(job, tx);
      if (batch.length % 16 === 0 && this.#host.clock.mono() - started > SLICE) break;
    }
  }

  #do(job: Job, tx: Transaction): void {
    try {
      job.outcome = job.work(tx);
      job.error = undefined;
    } catch (thrown) {
      if (!CatgaError.is(thrown)) throw thrown;
      job.error = thrown;
    }
  }

  /** Goes on with what is left: at once, or after a rest when it has been long. */
  #continue(): void {
    this.#ended = this.#host.clock.mono();
    if (this.#jobs.length === 0) this.#drained?.();
    if (this.#ended - this.#burst > SLICE) this.#rest(REST);
    else if (this.#jobs.length > 0) this.#schedule();
  }

  #rest(ms: number): void {
    this.#isResting = true;
    this.#jobs.heedSignals();
    this.#host.clock.timer(ms, () => {
      this.#isResting = false;
      this.#burst = this.#host.clock.mono();
      if (this.#jobs.length > 0) this.#run();
    });
  }

  /** The transaction could not begin, so nothing was done. */
  #refused(thrown: unknown): void {
    const { clock, random, busy, path } = this.#host;
    const now = clock.mono();
    const waits = isBusy(thrown);
    const left: Job[] = [];
    for (const job of this.#jobs.takeAll()) {
      if (waits && now - job.since < busy) left.push(job);
      else settle(job, sqliteFault(job.what, path, thrown, false));
    }
    this.#jobs.putBack(left);
    if (left.length === 0) return this.#continue();
    this.#rest(REST + backoff(++this.#failures, REST, PATIENCE, random.u32()));
  }

  /** One of them cannot be done, and nothing was: each is tried alone, so that it fails alone. */
  #spoiled(batch: readonly Job[], thrown: unknown, again: boolean): void {
    const [job] = batch;
    if (batch.length > 1) {
      this.#jobs.putBack(batch);
      this.#alone = batch.length;
    } else if (job?.frees && isFull(thrown) && !again) this.#makeRoom(job);
    else if (job !== undefined) settle(job, sqliteFault(job.what, this.#host.path, thrown, false));
  }

  /** Does a job with the pages that are kept back for it. */
  #makeRoom(job: Job): void {
    try {
      this.#raise.get();
      this.#begin.run();
      this.#transact([job], this.#host.clock.mono(), true);
    } catch (thrown) {
      settle(job, sqliteFault(job.what, this.#host.path, thrown, false));
    } finally {
      this.#lower.get();
    }
  }

  #undo(): void {
    this.#state = undefined;
    try {
      this.#rollback.run();
    } catch {
      // SQLite has rolled it back itself.
    }
  }
}
