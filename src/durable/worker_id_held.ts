import { CatgaError, faultOf, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import { askStore } from "./ask_store.ts";
import type { Lease } from "./lease.ts";
import type { WorkerLease } from "./worker_id.ts";
import { markOf, type WorkerMark } from "./worker_id_mark.ts";

/** How long to wait after the first failure of the store, in ms. */
const DELAY = 10;
/** How far ids are reserved ahead, as a part of the lease's time: it is over when the lease may be another's. */
const WINDOW = 2 / 3;

/** What a worker that was leased stands on. */
export interface HeldWorkerHost {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly ttl: number;
  readonly name: string;
  readonly worker: number;
  readonly lease: Lease;
}

/** Where the mark of a worker is kept. */
export function workerMarkKey(name: string, worker: number): string {
  return `workers/${name}/mark/${worker}`;
}

/**
 * A worker that was leased. Its mark in the store says up to when its ids may reach, and is moved on by compare-and-set
 * before they get there; whoever is next begins behind it. That holds whatever clocks and the lease do.
 */
export class HeldWorker implements WorkerLease {
  readonly worker: number;
  readonly owner: string;
  readonly token: number;
  readonly from: number;
  readonly #host: HeldWorkerHost;
  readonly #key: string;
  readonly #over: AbortController = new AbortController();
  /** Ends the pause between two reservations. */
  #nap: AbortController = new AbortController();
  /** What the mark is known to say, and its revision. */
  #until: number;
  #revision: number;
  /** The last ms that may have been used. */
  #reached: number;
  /** The last ms that was asked for. */
  #asked: number;
  #released: Promise<void> | undefined;

  /** Reserves the first ms of a worker whose lease was acquired. */
  static async begin(host: HeldWorkerHost, signal: AbortSignal): Promise<HeldWorker> {
    const { store, runtime, name, worker, lease } = host;
    const key = workerMarkKey(name, worker);
    const options = { clock: runtime.clock, limit: host.ttl / 3, signal };
    const entry = await askStore(options, (signal) => store.get(key, { signal }));
    const mark = markOf(entry);
    if (mark === undefined || mark.token > lease.token) {
      const message = `Cannot be worker ${worker} of "${name}": its mark is that of another`;
      throw new CatgaError(systemFault("CONFLICT", message));
    }
    const until = Math.max(Math.floor(runtime.clock.wall()), mark.until) + windowOf(host);
    const expected = entry?.revision ?? "absent";
    const revision = await askStore(
      options,
      (signal) => store.put(key, textOf({ until, token: lease.token }), { expected, signal }),
    );
    return new HeldWorker(host, mark.until, until, revision);
  }

  private constructor(host: HeldWorkerHost, from: number, until: number, revision: number) {
    const { lease, name, runtime, worker } = host;
    this.worker = worker;
    this.owner = lease.owner;
    this.token = lease.token;
    this.from = from;
    this.#host = host;
    this.#key = workerMarkKey(name, worker);
    this.#until = until;
    this.#revision = revision;
    this.#reached = this.#asked = from - 1;
    const lost = (): void => this.#end(lease.signal.reason);
    lease.signal.addEventListener("abort", lost, { once: true });
    if (lease.signal.aborted) lost();
    runtime.background(this.#keep());
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  reach(time: number): number {
    this.#over.signal.throwIfAborted();
    this.#host.lease.assertHeld();
    if (time > this.#asked) this.#asked = time;
    if (time >= this.#until) this.#nap.abort();
    return this.#reached = Math.max(this.#reached, Math.min(time, this.#until - 1));
  }

  release(): Promise<void> {
    if (this.#released !== undefined) return this.#released;
    if (this.#over.signal.aborted) return this.#released = Promise.resolve();
    const { name } = this.#host;
    this.#end(
      new CatgaError(
        systemFault("CANCELLED", `"${this.owner}" released worker ${this.worker} of "${name}"`),
      ),
    );
    return this.#released = this.#letGo();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Gives back what was reserved and not used, so that the next holder need not begin ahead of its clock. */
  async #letGo(): Promise<void> {
    const until = this.#reached + 1;
    // Where this fails the mark stays where it is, which is only further than it need be.
    if (until < this.#until) await this.#write(until, undefined).catch(() => {});
    await this.#host.lease.release();
  }

  /** Reserves further at each third of the lease's time, and when the end of what is reserved was reached. */
  async #keep(): Promise<void> {
    const { runtime, ttl } = this.#host;
    const { signal } = this.#over;
    while (!signal.aborted) {
      this.#nap = new AbortController();
      if (this.#asked < this.#until) await sleep(runtime.clock, ttl / 3, this.#nap.signal);
      if (!signal.aborted) await this.#reserve();
    }
  }

  async #reserve(): Promise<void> {
    const { clock, random } = this.#host.runtime;
    const { signal } = this.#over;
    for (let failures = 0; !signal.aborted;) {
      const until = Math.max(Math.floor(clock.wall()), this.#asked) + windowOf(this.#host);
      if (until <= this.#until) return;
      try {
        if (failures > 0) await this.#readBack(signal);
        if (signal.aborted) return;
        this.#revision = await this.#write(until, signal);
        this.#until = until;
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        this.#warn(thrown, failures);
        await sleep(clock, backoff(++failures, DELAY, this.#host.ttl / 3, random.u32()), signal);
      }
    }
  }

  /** What was asked of the store may have been done all the same: what is there decides. */
  async #readBack(signal: AbortSignal): Promise<void> {
    const entry = await this.#ask(signal, (signal) => this.#host.store.get(this.#key, { signal }));
    const mark = markOf(entry);
    if (signal.aborted) return;
    if (entry === undefined || mark?.token !== this.token) return this.#lose();
    this.#revision = entry.revision;
    this.#until = mark.until;
  }

  #write(until: number, signal: AbortSignal | undefined): Promise<number> {
    const expected = this.#revision;
    const text = textOf({ until, token: this.token });
    return this.#ask(signal, (signal) => this.#host.store.put(this.#key, text, { expected, signal }));
  }

  #ask<T>(signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime, ttl } = this.#host;
    return askStore({ clock: runtime.clock, limit: ttl / 3, signal }, ask);
  }

  #lose(): void {
    const { lease, name, runtime } = this.#host;
    const message = `"${this.owner}" lost worker ${this.worker} of "${name}": its mark is that of another`;
    this.#end(new CatgaError(systemFault("CONFLICT", message)));
    runtime.background(lease.release());
  }

  #end(reason: unknown): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(reason);
    this.#nap.abort();
  }

  #warn(thrown: unknown, failures: number): void {
    if (failures > 0) return;
    const { name, runtime, worker } = this.#host;
    const { code, message } = faultOf(thrown);
    runtime.log({
      level: "warn",
      event: "worker.reserve_failed",
      message: `Could not reserve ids for worker ${worker} of "${name}": ${message}`,
      fields: { name, worker, owner: this.owner, token: this.token, code },
    });
  }
}

function windowOf({ ttl }: HeldWorkerHost): number {
  return Math.ceil(ttl * WINDOW);
}

function textOf(mark: WorkerMark): string {
  return JSON.stringify(mark);
}
