import { CatgaError, type Fault, faultOf } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { isThenable } from "../../internal/thenable.ts";
import { sleep } from "../../internal/sleep.ts";
import type { StoredEvent } from "../../ports/event_store.ts";
import { askStore } from "../ask_store.ts";
import { KeptLease } from "../kept_lease.ts";
import type { Lease } from "../lease.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Recorded } from "./event_types.ts";
import type {
  Projection,
  ProjectionLag,
  ProjectionOptions,
  ProjectionStatus,
  ReachedOptions,
} from "./projection.ts";
import { ProjectionProgress } from "./projection_progress.ts";
import { EventFailure, type ProjectionTarget, type TargetRun } from "./projection_target.ts";
import type { SourceReader, Sources } from "./sources.ts";

/** How long to wait at most after a store has failed, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 5000;
/** The same after an event has. */
const PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** How long effects may go unremembered, in ms. */
const UNSAVED = 1000;

/** {@linkcode Projection} itself: a lease, and a loop over all events while it is held. */
export class ProjectionRunner<S extends Sources, E extends Recorded> implements Projection {
  readonly name: string;
  readonly #options: ProjectionOptions<S>;
  readonly #reader: SourceReader<S>;
  readonly #target: ProjectionTarget<E>;
  readonly #stopping: AbortController = new AbortController();
  readonly #progress: ProjectionProgress;
  readonly #lease: KeptLease;
  #running: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #fault: Fault | undefined;
  #failedAt = 0;
  #failures = 0;

  constructor(
    name: string,
    options: ProjectionOptions<S>,
    reader: SourceReader<S>,
    target: ProjectionTarget<E>,
  ) {
    if (!/^[\w.:-]{1,100}$/.test(name)) {
      throw new RangeError(`Cannot start "${name}": a name has 1 to 100 of letters, digits and _ . : -`);
    }
    this.name = name;
    this.#options = options;
    this.#reader = reader;
    this.#target = target;
    this.#progress = new ProjectionProgress(name, options, (position) => this.#passed(position));
    const { store, runtime, owner, ttl = 5000 } = options;
    this.#lease = new KeptLease({
      store,
      runtime,
      owner,
      ttl,
      key: () => `projections/${name}/lease`,
      gained: (lease) => runtime.background(this.#running = this.#run(lease)),
      lost: () => {},
      failed: (cause) => this.#warn("projection.lease_failed", cause),
    });
  }

  status(): ProjectionStatus {
    const state = this.#stopped !== undefined
      ? "over"
      : this.#fault !== undefined
      ? "failed"
      : this.#lease.held === undefined
      ? "waiting"
      : "running";
    return { state, position: this.#progress.position, fault: this.#fault, failures: this.#failures };
  }

  lag(): Promise<ProjectionLag> {
    return this.#progress.lag();
  }

  reached(position: number, options?: ReachedOptions): Promise<boolean> {
    return this.#progress.reached(position, options);
  }

  rebuild(): Promise<void> {
    return this.#progress.rebuild(this.#target.sweeps);
  }

  stop(): Promise<void> {
    return this.#stopped ??= (async () => {
      this.#stopping.abort();
      await this.#running;
      await this.#lease.close();
      // It may have been gained just then.
      await this.#running;
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Never rejects. */
  async #run(lease: Lease): Promise<void> {
    const { clock, random } = this.#options.runtime;
    const { signal } = this.#stopping;
    let at: Checkpoint | undefined;
    for (let failures = 0; lease.held() && !signal.aborted;) {
      try {
        at = await this.#advance(at ?? await this.#progress.load(), lease);
        failures = 0;
      } catch (thrown) {
        at = undefined;
        if (!lease.held() || signal.aborted) return;
        if (thrown instanceof EventFailure) return this.#failed(thrown);
        if (failures++ === 0 && faultOf(thrown).code !== "CONFLICT") {
          this.#warn("projection.store_failed", thrown);
        }
        await sleep(clock, backoff(failures, DELAY, LONGEST, random.u32()), signal);
      }
    }
  }

  /** Takes the next events, or waits for some. */
  async #advance(at: Checkpoint, lease: Lease): Promise<Checkpoint> {
    const { events, batch: limit = 256, poll: wait = 1000, runtime, patience = 5000 } = this.#options;
    const ask = (signal: AbortSignal): Promise<readonly StoredEvent[]> =>
      events.readAll({ after: at.position, limit, signal });
    const page = await this.#progress.ask(ask, "event store");
    if (page.length > 0) return await this.#take(page, at, lease);
    // Somebody may have begun it anew.
    const now = await this.#progress.load();
    if (now.revision !== at.revision) return now;
    if (now.sweeping) {
      await this.#target.sweep(now.generation);
      return await this.#progress.save({ ...now, sweeping: false }, now);
    }
    const { signal } = this.#stopping;
    const patient = { clock: runtime.clock, limit: wait + patience, signal, asked: "event store" } as const;
    await askStore(patient, (signal) => events.changed(at.position, { wait, signal }));
    return at;
  }

  async #take(page: readonly StoredEvent[], start: Checkpoint, lease: Lease): Promise<Checkpoint> {
    const { clock } = this.#options.runtime;
    const stopping = this.#stopping.signal;
    const { readable, end, failure } = await this.#decode(page, start.position);
    let kept = start, done = start.position, saved = clock.mono();
    const save = async (): Promise<void> => {
      if (done > kept.position) kept = await this.#progress.save({ ...kept, position: done }, kept);
      saved = clock.mono();
    };
    const run: TargetRun = {
      generation: start.generation,
      lease,
      get stopping() {
        return stopping.aborted || !lease.held();
      },
      done: async (position) => {
        done = position;
        if (clock.mono() - saved >= UNSAVED) await save();
      },
    };
    try {
      await this.#target.take(readable, run);
    } catch (thrown) {
      if (thrown instanceof EventFailure) await save();
      throw thrown;
    }
    // Where it was to stop, what it did not get to is left for whoever goes on.
    if (!run.stopping) done = end;
    await save();
    if (failure !== undefined) throw failure;
    return kept;
  }

  /** The events up to the first that cannot be read, and the last position before it. */
  async #decode(
    page: readonly StoredEvent[],
    before: number,
  ): Promise<{ readable: E[]; end: number; failure: EventFailure | undefined }> {
    const readable: E[] = [];
    let end = before;
    for (const stored of page) {
      try {
        const event = this.#reader.decode(stored);
        if (event !== undefined) readable.push((isThenable(event) ? await event : event) as unknown as E);
      } catch (thrown) {
        return { readable, end, failure: new EventFailure(stored.position, thrown) };
      }
      end = stored.position;
    }
    return { readable, end, failure: undefined };
  }

  #passed(position: number): void {
    if (this.#fault === undefined || position < this.#failedAt) return;
    this.#fault = undefined;
    this.#failures = 0;
  }

  /** Says so, and lets somebody else try, who may know the event. */
  #failed({ position, cause, message }: EventFailure): void {
    const { runtime } = this.#options;
    this.#failures = position === this.#failedAt ? this.#failures + 1 : 1;
    this.#failedAt = position;
    this.#fault = faultOf(cause);
    const { code } = this.#fault;
    runtime.log({
      level: "error",
      event: "projection.failed",
      message: `"${this.name}" cannot go past position ${position}: ${message}`,
      fields: { projection: this.name, position, code, failures: this.#failures },
    });
    const pause = backoff(this.#failures, PAUSE, LONGEST_PAUSE, runtime.random.u32());
    runtime.background(this.#lease.letGo(pause));
  }

  #warn(event: string, cause: unknown): void {
    const { code } = faultOf(cause);
    const why = CatgaError.is(cause) || cause instanceof Error ? cause.message : String(cause);
    this.#options.runtime.log({
      level: "warn",
      event,
      message: `"${this.name}" cannot go on just now: ${why}`,
      fields: { projection: this.name, code },
    });
  }
}
