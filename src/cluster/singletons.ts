import { CatgaError, faultOf, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Leader } from "./leader.ts";

/**
 * Something that runs on the leader only, for as long as it leads: its signal aborts when it does no more. The term is
 * to be checked by whatever it writes to; it is `undefined` where the leader is soft.
 */
export type LeaderTask = (signal: AbortSignal, term: number | undefined) => Promise<void>;

/** How long a task that failed waits before it runs again, in ms: twice as long each time, up to the second. */
const DELAY = 1000;
const LONGEST = 60_000;

/** Runs tasks while this node leads. */
export class Singletons {
  readonly #runtime: Runtime;
  readonly #tasks: Set<Singleton> = new Set();
  #leader: Leader | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Takes a task; disposing what it answers ends it, and settles when it has ended. */
  add(name: string, task: LeaderTask): AsyncDisposable {
    const singleton = new Singleton(name, task, this.#runtime);
    this.#tasks.add(singleton);
    if (this.#leader?.local === true) singleton.start(this.#leader);
    return {
      [Symbol.asyncDispose]: () => {
        this.#tasks.delete(singleton);
        return singleton.stop();
      },
    };
  }

  /** Another node leads, or this one. */
  led(leader: Leader | undefined): void {
    this.#leader = leader;
    for (const singleton of this.#tasks) {
      void singleton.stop();
      if (leader?.local === true) singleton.start(leader);
    }
  }

  /** Ends all tasks. */
  async stop(): Promise<void> {
    this.#leader = undefined;
    await Promise.all([...this.#tasks].map((singleton) => singleton.stop()));
  }
}

class Singleton {
  readonly #name: string;
  readonly #task: LeaderTask;
  readonly #runtime: Runtime;
  #running: Promise<void> = Promise.resolve();
  #abort: AbortController | undefined;

  constructor(name: string, task: LeaderTask, runtime: Runtime) {
    this.#name = name;
    this.#task = task;
    this.#runtime = runtime;
  }

  /** Runs the task, once its last run has ended. */
  start({ term }: Leader): void {
    const abort = this.#abort = new AbortController();
    this.#running = this.#running.then(() => this.#run(abort.signal, term));
    this.#runtime.background(this.#running);
  }

  stop(): Promise<void> {
    const fault = systemFault("CANCELLED", `"${this.#name}" ends: this node leads no more`);
    this.#abort?.abort(new CatgaError(fault));
    this.#abort = undefined;
    return this.#running;
  }

  /** Again and again while it fails, until it is done or the node leads no more. */
  async #run(signal: AbortSignal, term: number | undefined): Promise<void> {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        return await this.#task(signal, term);
      } catch (thrown) {
        if (signal.aborted) return;
        this.#runtime.log({
          level: "error",
          event: "singleton.failed",
          message: `The task "${this.#name}" of the leader failed and will run again`,
          fields: { task: this.#name, failures, cause: faultOf(thrown).cause },
        });
        const { clock, random } = this.#runtime;
        await sleep(clock, backoff(failures, DELAY, LONGEST, random.u32()), signal);
      }
    }
  }
}
