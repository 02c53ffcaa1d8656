import { faultOf } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Pushing } from "../command_group.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, ListOptions, Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import { follow } from "../follow.ts";
import { pages } from "../pages.ts";
import { MARKS } from "./record_entry.ts";
import { QueueAway, type RelayMark, tend, type TendHost } from "./tend.ts";

/** What a term stands on. */
export interface RelayTermHost {
  readonly store: Store;
  readonly queue: Pushing;
  readonly runtime: Runtime;
  /** Ends the term. */
  readonly signal: AbortSignal;
  readonly poll: number;
  readonly concurrency: number;
  /** So many messages are in the queue. */
  told(count: number): void;
}

/** How many records are known at most. */
const MARKS_KNOWN = 65_536;
/** The longest one question to the store or the queue may take, in ms. */
const PATIENCE = 2000;
/** How long to wait after a failure, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 2000;

interface Work extends RelayMark {
  /** Since when it is known, by the monotonic clock. */
  readonly known: number;
  busy: boolean;
  /** There was news of it while it was worked on. */
  again: boolean;
  failures: number;
  /** Calls off what would look at it again. */
  rest: (() => void) | undefined;
}

/** The time for which one relay holds the lease. */
export class RelayTerm {
  /** Settles when nothing is under way any longer. */
  readonly ended: Promise<void>;
  readonly #host: RelayTermHost;
  readonly #tend: TendHost;
  readonly #works: Map<string, Work> = new Map();
  readonly #ready: Set<Work> = new Set();
  readonly #busy: Set<Promise<void>> = new Set();
  /** How often the queue has failed in a row, and what ends the pause after that. */
  #away = 0;
  #pause: (() => void) | undefined;

  constructor(host: RelayTermHost) {
    const { store, queue, runtime, signal } = host;
    this.#host = host;
    this.#tend = {
      store,
      queue,
      runtime,
      ask: (work, asked) => askStore({ clock: runtime.clock, limit: PATIENCE, signal, asked }, work),
      told: (count) => {
        this.#away = 0;
        host.told(count);
      },
    };
    this.ended = this.#run();
    runtime.background(this.ended);
  }

  backlog(): { readonly records: number; readonly failing: number; readonly age: number } {
    const works = [...this.#works.values()];
    const failing = works.filter(({ failures }) => failures > 0).length;
    const now = this.#host.runtime.clock.mono();
    return { records: works.length, failing, age: now - (works[0]?.known ?? now) };
  }

  /** There may be something to tell. */
  wake(key: string): void {
    if (this.#host.signal.aborted) return;
    const work = this.#works.get(key) ?? this.#know(key);
    if (work !== undefined) this.#look(work);
  }

  async #run(): Promise<void> {
    const { store, runtime, signal } = this.#host;
    const followed = follow(MARKS, {
      store,
      runtime,
      signal,
      take: (key, entry) => this.#take(key, entry),
      failed: (cause) => this.#warn("outbox.watch_failed", "Cannot watch what is to be told", cause),
    });
    await Promise.all([followed, this.#poll()]);
    for (const work of this.#works.values()) work.rest?.();
    this.#pause?.();
    await Promise.all(this.#busy);
  }

  /** Looks through the store now and then, for what a watch may not have said. */
  async #poll(): Promise<void> {
    const { runtime, signal, poll } = this.#host;
    while (!signal.aborted) {
      await sleep(runtime.clock, poll, signal);
      if (signal.aborted) return;
      try {
        const ask = this.#tend.ask;
        const list = (page: ListOptions): Promise<readonly Entry[]> =>
          ask((signal) => this.#host.store.list(MARKS, { ...page, signal }));
        for await (const entries of pages(list)) {
          for (const entry of entries) if (!this.#works.has(entry.key)) this.#take(entry.key, entry);
          // What is left is looked for when there is room again.
          if (this.#works.size >= MARKS_KNOWN) break;
        }
      } catch {
        // The watch says what is wrong with the store.
      }
    }
  }

  #take(key: string, entry: Entry | undefined): void {
    const known = this.#works.get(key);
    if (entry === undefined) {
      if (known?.busy === false) this.#forget(known);
      // Whoever works on it asks again then.
      else if (known !== undefined) known.revision = undefined;
      return;
    }
    const work = known ?? this.#know(key);
    if (work === undefined || work.revision === entry.revision) return;
    work.revision = entry.revision;
    work.since = this.#host.runtime.clock.mono();
    this.#look(work);
  }

  #know(key: string): Work | undefined {
    if (this.#works.size >= MARKS_KNOWN) return undefined;
    const now = this.#host.runtime.clock.mono();
    const rest = { busy: false, again: false, failures: 0, rest: undefined };
    const work: Work = {
      key,
      revision: undefined,
      since: now,
      known: now,
      looks: 0,
      told: new Set(),
      ...rest,
    };
    this.#works.set(key, work);
    return work;
  }

  #forget(work: Work): void {
    work.rest?.();
    this.#ready.delete(work);
    this.#works.delete(work.key);
  }

  #look(work: Work): void {
    work.looks = 0;
    if (work.busy) {
      work.again = true;
      return;
    }
    work.rest?.();
    work.rest = undefined;
    this.#ready.add(work);
    this.#pump();
  }

  #pump(): void {
    const { concurrency, signal } = this.#host;
    // A queue that is away is asked by one at a time.
    const most = this.#away > 0 ? 1 : concurrency;
    for (const work of this.#ready) {
      if (this.#busy.size >= most || this.#pause !== undefined || signal.aborted) return;
      this.#ready.delete(work);
      work.busy = true;
      const busy = this.#work(work).finally(() => {
        this.#busy.delete(busy);
        this.#pump();
      });
      this.#busy.add(busy);
    }
  }

  /** Tends to a record; never rejects. */
  async #work(work: Work): Promise<void> {
    const { runtime: { clock, random }, signal } = this.#host;
    let wait: number | undefined;
    try {
      wait = await tend(this.#tend, work);
      work.failures = 0;
    } catch (thrown) {
      if (!signal.aborted) this.#failed(work, thrown);
      wait = backoff(++work.failures, DELAY, LONGEST, random.u32());
    }
    work.busy = false;
    if (signal.aborted) return;
    const { again } = work;
    work.again = false;
    if (again && wait !== undefined && work.failures === 0) wait = 0;
    if (wait === undefined && !again) return this.#forget(work);
    if (wait === undefined || wait <= 0) this.#ready.add(work);
    else {work.rest = clock.timer(wait, () => {
        work.rest = undefined;
        this.#ready.add(work);
        this.#pump();
      });}
  }

  #failed(work: Work, thrown: unknown): void {
    if (thrown instanceof QueueAway) {
      if (this.#away++ === 0) {
        this.#warn("outbox.queue_unreachable", "Cannot tell anything just now", thrown.cause);
      }
      this.#rest();
      return;
    }
    const { code, message, retryable } = faultOf(thrown);
    if (work.failures > 0) return;
    this.#host.runtime.log({
      level: retryable || code === "CONFLICT" ? "warn" : "error",
      event: "outbox.failed",
      message: `Cannot tell what "${work.key}" is about; it is tried again: ${message}`,
      fields: { mark: work.key, code },
    });
  }

  /** Leaves the queue alone for a while. */
  #rest(): void {
    const { clock, random } = this.#host.runtime;
    this.#pause?.();
    const stop = clock.timer(backoff(this.#away, DELAY, LONGEST, random.u32()), () => {
      this.#pause = undefined;
      this.#pump();
    });
    this.#pause = stop;
  }

  #warn(event: string, what: string, cause: unknown): void {
    if (this.#host.signal.aborted) return;
    const { code, message } = faultOf(cause);
    this.#host.runtime.log({ level: "warn", event, message: `${what}: ${message}`, fields: { code } });
  }
}
