import { CatgaError, faultOf } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import type { DeadLetters } from "../dead_letters_types.ts";
import { Firing, type FiringHost } from "./firing.ts";
import {
  BELL,
  CALLED_OFF,
  CRON,
  type CronEntry,
  firingId,
  ONCE,
  onceOfKey,
  readEntry,
} from "./schedule_entry.ts";
import type { Deliver } from "./scheduler.ts";
import { CRONS } from "./schedules.ts";

/** What a term stands on. */
export interface SchedulerTermHost {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly deliver: Deliver;
  /** Where what cannot be delivered is kept. */
  readonly letters: Pick<DeadLetters, "put">;
  readonly poll: number;
  readonly concurrency: number;
  readonly timeout: number;
  /** Ends the term. */
  readonly signal: AbortSignal;
  /** Something was delivered. */
  readonly delivered: () => void;
}

/** How many of those that happen once are looked at, beside those that are known to be in trouble. */
const PAGE = 200;
/** The longest one question to the store may take, in ms. */
const PATIENCE = 3000;
/** How long to wait after a failure, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 5000;

/** The time for which one scheduler holds the lease. */
export class SchedulerTerm {
  /** Settles when nothing is under way any longer. */
  readonly ended: Promise<void>;
  readonly #host: SchedulerTermHost;
  readonly #firingHost: FiringHost;
  /** What is being delivered or will be tried again, by id. */
  readonly #firings: Map<string, Firing> = new Map();
  readonly #busy: Set<Promise<void>> = new Set();
  /** When it looks next, by the wall clock; `Infinity` while it looks. */
  #nextLook = Infinity;
  #woken = false;
  #wake: () => void = () => {};
  /** More is due than is delivered at a time. */
  #full = false;
  /** How many of those that were looked at last were called off. */
  #calledOff = 0;

  constructor(host: SchedulerTermHost) {
    const { store, runtime, signal, deliver, letters, timeout, delivered } = host;
    this.#host = host;
    const ask: FiringHost["ask"] = (work) =>
      askStore({ clock: runtime.clock, limit: PATIENCE, signal }, work);
    this.#firingHost = { store, runtime, signal, deliver, letters, timeout, ask, delivered };
    this.ended = this.#run();
    runtime.background(this.ended);
  }

  /** How many are being delivered. */
  get firing(): number {
    return this.#busy.size;
  }

  /** How many will be tried again. */
  get failing(): number {
    return [...this.#firings.values()].filter(({ failures }) => failures > 0).length;
  }

  /** Something is due at a time, maybe sooner than was thought. */
  wake(time: number): void {
    if (time >= this.#nextLook) return;
    this.#woken = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    const { runtime: { clock, random, log }, signal, poll } = this.#host;
    const watched = this.#watch();
    for (let failures = 0; !signal.aborted;) {
      let wait: number;
      this.#woken = false;
      try {
        wait = Math.min(await this.#look(), poll);
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) break;
        const { code, message } = faultOf(thrown);
        const event = "scheduler.unreachable";
        const said = `Cannot look for what is due just now: ${message}`;
        if (failures++ === 0) log({ level: "warn", event, message: said, fields: { code } });
        wait = backoff(failures, DELAY, LONGEST, random.u32());
      }
      if (!this.#woken) await this.#sleep(clock, wait);
    }
    await watched;
    await Promise.all(this.#busy);
  }

  /** Waits for so many ms, or until it is woken. */
  async #sleep(clock: Runtime["clock"], ms: number): Promise<void> {
    const over = new AbortController();
    const { signal } = this.#host;
    const wake = this.#wake = () => over.abort();
    this.#nextLook = clock.wall() + ms;
    signal.addEventListener("abort", wake, { once: true });
    if (signal.aborted) wake();
    await sleep(clock, Math.max(ms, 1), over.signal);
    signal.removeEventListener("abort", wake);
    this.#wake = () => {};
    this.#nextLook = Infinity;
  }

  /** Hears when somebody else has scheduled something for soon. Where that fails, the next look finds it. */
  async #watch(): Promise<void> {
    const { store, runtime: { clock }, signal } = this.#host;
    while (!signal.aborted) {
      try {
        for await (const change of store.watch(BELL, { signal })) {
          if (change.type === "put") this.wake(-Infinity);
        }
      } catch {
        // It is begun again.
      }
      await sleep(clock, LONGEST, signal);
    }
  }

  /** Begins to deliver what is due; answers how long until something else may be, in ms. */
  async #look(): Promise<number> {
    const { store, runtime: { clock } } = this.#host;
    const { ask } = this.#firingHost;
    const limit = PAGE + this.#firings.size + this.#calledOff;
    const onces = await ask((signal) => store.list(ONCE, { limit, signal }));
    const crons = await ask((signal) => store.list(CRON, { limit: CRONS, signal }));
    const now = clock.wall();
    // Those that happen once may be many.
    const there = [...crons, ...onces].filter(({ value }) => value !== CALLED_OFF);
    const dues = there.map(dueOf);
    this.#calledOff = crons.length + onces.length - there.length;
    this.#forget(new Set(dues.map(({ id }) => id)));
    let wait = onces.length === limit && dues.length === crons.length ? 0 : Infinity;
    this.#full = false;
    for (const { id, time, entry } of dues) {
      const known = this.#firings.get(id);
      if (time > now) wait = Math.min(wait, time - now);
      // What failed is tried again at one of the next looks.
      else if (known !== undefined && (known.busy || known.retryAt > clock.mono())) continue;
      else if (this.#busy.size < this.#host.concurrency) this.#fire(known ?? this.#know(id, time), entry);
      else this.#full = true;
    }
    return wait;
  }

  #know(id: string, time: number): Firing {
    const firing = new Firing(this.#firingHost, id, time);
    this.#firings.set(id, firing);
    return firing;
  }

  #fire(firing: Firing, entry: Entry): void {
    const busy = firing.run(entry).then((over) => {
      if (over) this.#firings.delete(firing.id);
      this.#busy.delete(busy);
      if (this.#full && this.#busy.size <= this.#host.concurrency / 2) this.wake(-Infinity);
    });
    this.#busy.add(busy);
  }

  /** What is no longer in the store was called off, or is over. */
  #forget(there: ReadonlySet<string>): void {
    for (const [id, firing] of this.#firings) if (!firing.busy && !there.has(id)) this.#firings.delete(id);
  }
}

interface Due {
  readonly id: string;
  readonly time: number;
  readonly entry: Entry;
}

function dueOf(entry: Entry): Due {
  const { key } = entry;
  if (key.startsWith(ONCE)) {
    const { time, name } = onceOfKey(ONCE, key);
    return { id: firingId(name, time), time, entry };
  }
  const name = key.slice(CRON.length);
  try {
    const { next, firing = next } = readEntry<CronEntry>(entry);
    return { id: firingId(name, firing), time: firing, entry };
  } catch (thrown) {
    if (!CatgaError.is(thrown)) throw thrown;
    return { id: name, time: 0, entry };
  }
}
