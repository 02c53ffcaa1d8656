import type { Contract } from "../../message/contract.ts";
import type { Dispatcher } from "../../mediator/types.ts";
import { within } from "../../internal/within.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { KeptLease } from "../kept_lease.ts";
import type { Lease } from "../lease.ts";
import { Instance } from "./instance.ts";
import { Claims } from "./claims.ts";
import { type Found, SagaKeep } from "./keep.ts";
import type { SagaDefinition } from "./saga.ts";
import { type SagaRecord, SESSIONS } from "./saga_record.ts";
import { type RunEnd, SagaRun } from "./saga_run.ts";
import type { SagaTally } from "./tally.ts";
import type { UndoHost } from "./undo_all.ts";
import { SagaView } from "./view.ts";

/** What {@linkcode Executor} stands on. */
export interface ExecutorHost {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly owner: string;
  /** How long an executor's lease lasts, in ms. */
  readonly ttl: number;
  /** How many instances are run at a time. */
  readonly capacity: number;
  readonly retention: number;
  readonly drain: number;
  readonly tally: SagaTally;
  definition(type: string, version: number): SagaDefinition | undefined;
  contract(type: string): Contract | undefined;
}

/**
 * Runs instances: those that begin here, and those whose executor is gone or that have waited long enough. It holds one
 * lease, and an instance names the lease that it is run under; so an executor renews one lease, however many it runs,
 * and what it writes after another has taken over is refused (after the sessions of Chubby, Burrows 2006).
 */
export class Executor {
  readonly keep: SagaKeep;
  readonly #host: ExecutorHost;
  readonly #dispatcher: Dispatcher;
  readonly #view: SagaView;
  readonly #session: KeptLease;
  readonly #runs: Map<string, SagaRun> = new Map();
  readonly #reserved: Set<string> = new Set();
  readonly #ending: Set<Promise<void>> = new Set();
  readonly #claims: Claims;
  readonly #waiters: Map<string, Set<() => void>> = new Map();
  readonly #closed: AbortController = new AbortController();
  #lease: Lease | undefined;
  #stopTick: () => void = () => {};

  constructor(dispatcher: Dispatcher, host: ExecutorHost) {
    const { store, runtime, owner, ttl } = host;
    this.#host = host;
    this.#dispatcher = dispatcher;
    this.keep = new SagaKeep(store, runtime, ttl / 3);
    this.#view = new SagaView({
      store,
      runtime,
      marked: (id) => this.#marked(id),
      woken: (id) => this.#claims.consider(id),
      orphaned: () => this.#claims.considerAll(),
    });
    this.#claims = new Claims({
      runtime,
      owner,
      keep: this.keep,
      view: this.#view,
      lease: () => this.#lease?.held() === true && !this.#closed.signal.aborted ? this.#lease : undefined,
      room: () => this.#room,
      isRun: (id) => this.#runs.has(id),
      knows: (type, version) => host.definition(type, version) !== undefined,
      run: (id, found, lease) => {
        host.tally.resumed++;
        this.#run(id, found, lease, this.keep.mark(id, found.record, lease.signal));
      },
    });
    this.#session = new KeptLease({
      store,
      runtime,
      owner,
      ttl,
      key: () => `${SESSIONS}${owner}/${[0, 0].map(() => runtime.random.u32().toString(36)).join("-")}`,
      gained: (lease) => {
        this.#lease = lease;
        this.#claims.considerAll();
      },
      lost: () => this.#lose(),
      failed: (cause) => {
        const message = `"${owner}" can run no sagas just now: the store cannot be asked`;
        runtime.log({ level: "warn", event: "saga.unreachable", message, fields: { cause } });
      },
    });
    this.#tick();
  }

  /** How many instances it runs just now, and how many are not done anywhere. */
  get load(): { readonly running: number; readonly live: number } {
    return { running: this.#runs.size, live: this.#view.marks.size };
  }

  /** Keeps a place for an instance, and answers the lease to begin it under; `undefined` when another is to run it. */
  reserve(id: string): string | undefined {
    if (this.#room <= 0 || this.#closed.signal.aborted || this.#lease?.held() !== true) return undefined;
    this.#reserved.add(id);
    return this.#lease.key;
  }

  /** The place is not needed any more. */
  release(id: string): void {
    this.#reserved.delete(id);
  }

  /** Runs an instance that was written under this executor's lease. */
  begin(id: string, found: Found): void {
    const { status, by } = found.record;
    const lease = this.#lease;
    if (lease?.held() !== true || by !== lease.key) return;
    if (status === "running" || status === "compensating") this.#run(id, found, lease);
  }

  get #room(): number {
    return this.#host.capacity - this.#runs.size - this.#reserved.size;
  }

  /** Waits until there may be news of an instance, or so many ms. */
  async news(id: string, ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const waiters = this.#waiters.get(id) ?? new Set();
      const wake = (): void => {
        stop();
        signal.removeEventListener("abort", wake);
        waiters.delete(wake);
        if (waiters.size === 0) this.#waiters.delete(id);
        resolve();
      };
      const stop = this.#host.runtime.clock.timer(ms, wake);
      this.#waiters.set(id, waiters.add(wake));
      if (signal.aborted) wake();
      else signal.addEventListener("abort", wake, { once: true });
    });
  }

  /** Lets what is under way come to its end, gives the rest back, and lets go of the lease. */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#stopTick();
    this.#claims.close();
    for (const run of this.#runs.values()) run.stop();
    const { clock } = this.#host.runtime;
    const ended = async (): Promise<void> => {
      while (this.#ending.size > 0) await Promise.race(this.#ending);
    };
    await within(clock, ended(), this.#host.drain);
    for (const run of this.#runs.values()) run.lose();
    this.#view.close();
    await this.#session.close();
    for (const waiters of [...this.#waiters.values()]) for (const wake of [...waiters]) wake();
  }

  #tick(): void {
    this.#stopTick = this.#host.runtime.clock.timer(Math.max(this.#host.ttl / 2, 500), () => {
      this.#claims.considerAll();
      if (!this.#closed.signal.aborted) this.#tick();
    });
  }

  #marked(id: string): void {
    for (const wake of [...this.#waiters.get(id) ?? []]) wake();
    const mark = this.#view.marks.get(id);
    const run = this.#runs.get(id);
    if (run === undefined) {
      // What is said to be run here is about to be.
      if (mark === undefined || mark.by !== this.#lease?.key) this.#claims.consider(id);
    } else if (mark?.cancel === true) {
      this.#host.runtime.background(run.look());
    }
  }

  /** @param marked settles when it is said that it is run here */
  #run(
    id: string,
    { record, revision }: Found,
    lease: Lease,
    marked: Promise<void> = Promise.resolve(),
  ): void {
    if (this.#runs.has(id)) return;
    const { store, runtime, retention, ttl, tally } = this.#host;
    const host: UndoHost = {
      store,
      runtime,
      retention,
      patience: ttl / 3,
      dispatcher: this.#dispatcher,
      watch: (key, changed) => this.#view.watch(key, changed),
      counted: (what) => void tally[what]++,
      contract: (type) => this.#host.contract(type),
    };
    const instance = new Instance(id, lease.key, { record, revision }, lease.signal, host);
    const run = new SagaRun(instance, this.#host.definition(record.type, record.version), host);
    this.#runs.set(id, run);
    if (this.#closed.signal.aborted) run.stop();
    const ended = run.run().then(async (end) => {
      await marked;
      await this.#ended(run, end, lease);
      this.#ending.delete(ended);
    });
    this.#ending.add(ended);
    runtime.background(ended);
  }

  async #ended(run: SagaRun, end: RunEnd, lease: Lease): Promise<void> {
    const { id, record } = run.instance;
    if (end === "done" || end === "stuck") this.#conclude(id, record);
    if (end !== "lost") await this.keep.mark(id, record, lease.signal);
    const wasFull = this.#room <= 0;
    if (this.#runs.get(id) === run) this.#runs.delete(id);
    for (const wake of [...this.#waiters.get(id) ?? []]) wake();
    // What was lost is looked at again in a while, as it may have gone wrong here.
    if (end === "parked") this.#claims.consider(id);
    if (wasFull) this.#claims.considerAll();
  }

  #conclude(id: string, { status, reason }: SagaRecord): void {
    const { tally, runtime } = this.#host;
    if (status === "completed" || status === "compensated" || status === "stuck") tally[status]++;
    if (status !== "stuck") return;
    const message = `The saga "${id}" is stuck, and needs somebody to resume or cancel it: ${reason}`;
    runtime.log({ level: "error", event: "saga.stuck", message, fields: { saga: id, reason } });
  }

  /** The lease is over: others may have what was run here. */
  #lose(): void {
    this.#lease = undefined;
    for (const run of this.#runs.values()) run.lose();
    this.#runs.clear();
  }
}
