import { CatgaError, type Fault, faultOf, systemFault } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { cron } from "./cron.ts";
import {
  type CronEntry,
  keyOfOnce,
  ONCE,
  type OnceEntry,
  onceOfKey,
  PARKED,
  readEntry,
  writeEntry,
} from "./schedule_entry.ts";
import type { Deliver } from "./scheduler.ts";

/** What a firing stands on. */
export interface FiringHost {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly deliver: Deliver;
  /** The longest one delivery may take, in ms. */
  readonly timeout: number;
  /** Aborts when another process delivers. */
  readonly signal: AbortSignal;
  /** Asks the store, for a bounded time. */
  readonly ask: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
  /** Something was delivered. */
  readonly delivered: () => void;
}

/** How long to wait after a failure, in ms: twice as long each time, up to the second. */
const DELAY = 100;
const LONGEST = 5000;
/** How often something is tried that trying again does not heal. */
const TRIES = 10;
/** How late a time of a cron expression may be before it counts as missed, in ms. */
const TOLERANCE = 60_000;
/** How long what was given up stays, in ms: 30 days. */
const PARKED_FOR = 30 * 86_400_000;

/** One time of something that is scheduled, on its way to be delivered. */
export class Firing {
  readonly id: string;
  busy: boolean = false;
  failures: number = 0;
  /** Not to be tried before, by the monotonic clock. */
  retryAt: number = 0;
  readonly #host: FiringHost;
  readonly #time: number;
  #refusals = 0;
  /** It was delivered; only the store does not know yet. */
  #delivered = false;

  constructor(host: FiringHost, id: string, time: number) {
    this.#host = host;
    this.id = id;
    this.#time = time;
  }

  /** Delivers what is due by what the store has of it; whether that is over. Never rejects. */
  async run(entry: Entry): Promise<boolean> {
    const { runtime: { clock, random }, signal } = this.#host;
    this.busy = true;
    try {
      await (entry.key.startsWith(ONCE) ? this.#once(entry) : this.#cron(entry));
      return true;
    } catch (thrown) {
      if (CatgaError.is(thrown) && thrown.code === "CONFLICT" && !this.#delivered) return true;
      if (!signal.aborted && this.failures === 0) this.#warn(thrown);
      this.retryAt = clock.mono() + backoff(++this.failures, DELAY, LONGEST, random.u32());
      return false;
    } finally {
      this.busy = false;
    }
  }

  async #once(entry: Entry): Promise<void> {
    const { store, ask } = this.#host;
    const { key } = entry;
    const once = readable<OnceEntry>(entry);
    if (CatgaError.is(once)) return await this.#park(entry, undefined, once);
    // Whoever calls it off is either earlier than this, or too late.
    const firing: OnceEntry = { ...once, firing: true };
    const expected = once.firing
      ? entry.revision
      : await ask((signal) => store.put(key, writeEntry(firing), { expected: entry.revision, signal }));
    const fault = await this.#deliver(once);
    if (fault !== undefined) return await this.#park({ ...entry, revision: expected }, firing, fault);
    await ask((signal) => store.delete(key, { expected, signal }));
  }

  async #cron(entry: Entry): Promise<void> {
    const { store, ask, runtime: { clock } } = this.#host;
    const { key } = entry;
    const kept = readEntry<CronEntry>(entry);
    const { firing: _, ...idle } = kept;
    let expected = entry.revision;
    let next = kept.next;
    if (kept.firing === undefined) {
      const now = clock.wall();
      next = cron(kept.expression, { zone: kept.zone }).next(Math.max(now, kept.next));
      const isMissed = kept.missed === "skip" && now - kept.next > TOLERANCE;
      const claimed: CronEntry = isMissed ? { ...idle, next } : { ...idle, next, firing: kept.next };
      expected = await ask((signal) => store.put(key, writeEntry(claimed), { expected, signal }));
      if (isMissed) return;
    }
    const fault = await this.#deliver(kept);
    if (fault !== undefined) this.#alarm(`It is left out this time: ${fault.message}`, fault.code);
    await ask((signal) => store.put(key, writeEntry({ ...idle, next }), { expected, signal }));
  }

  /** Delivers it, unless it was; answers what it was given up for. Throws what may heal. */
  async #deliver({ message, headers }: OnceEntry | CronEntry): Promise<Fault | undefined> {
    if (this.#delivered) return undefined;
    const { deliver, delivered } = this.#host;
    const result = await this.#bounded(async (signal) => {
      const { id } = this;
      return await deliver(message, { id, headers, signal });
    });
    if (result === undefined || result.ok) {
      this.#delivered = true;
      delivered();
      return undefined;
    }
    const { error } = result;
    if (!error.retryable && ++this.#refusals >= TRIES) return error;
    throw new CatgaError({ ...error, retryable: true });
  }

  /** Does something for so many ms at most; what it throws is a failure. */
  #bounded(work: (signal: AbortSignal) => ReturnType<Deliver>): ReturnType<Deliver> {
    const { runtime: { clock }, timeout, signal } = this.#host;
    return new Promise((resolve) => {
      const over = new AbortController();
      const end = (result: Awaited<ReturnType<Deliver>>): void => {
        stop();
        signal.removeEventListener("abort", leave);
        over.abort();
        resolve(result);
      };
      const fail = (error: Fault): void => end({ ok: false, error });
      const leave = (): void => fail(systemFault("CANCELLED", "Another process delivers"));
      const stop = clock.timer(
        timeout,
        () => fail(systemFault("TIMEOUT", `It took more than ${timeout} ms`)),
      );
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      work(over.signal).then(end, (thrown: unknown) => fail(faultOf(thrown)));
    });
  }

  /** Puts aside what cannot be delivered, for somebody to look at. */
  async #park({ key, value, revision }: Entry, once: OnceEntry | undefined, fault: Fault): Promise<void> {
    const { store, ask } = this.#host;
    const { code, message } = fault;
    const { name } = onceOfKey(ONCE, key);
    const kept = once === undefined ? value : writeEntry({ ...once, fault: { code, message } });
    const place = keyOfOnce(PARKED, this.#time, name);
    await ask((signal) => store.put(place, kept, { ttl: PARKED_FOR, signal }));
    this.#alarm(`It was put aside as "${place}": ${message}`, code);
    await ask((signal) => store.delete(key, { expected: revision, signal }));
  }

  #alarm(why: string, code: string): void {
    this.#host.runtime.log({
      level: "error",
      event: "scheduler.given_up",
      message: `Cannot deliver "${this.id}". ${why}`,
      fields: { id: this.id, code },
    });
  }

  #warn(thrown: unknown): void {
    const { code, message } = faultOf(thrown);
    this.#host.runtime.log({
      level: code === "SERIALIZATION" ? "error" : "warn",
      event: "scheduler.failed",
      message: `Cannot deliver "${this.id}" just now; it is tried again: ${message}`,
      fields: { id: this.id, code },
    });
  }
}

function readable<E extends OnceEntry | CronEntry>(entry: Entry): E | CatgaError {
  try {
    return readEntry<E>(entry);
  } catch (thrown) {
    if (CatgaError.is(thrown)) return thrown;
    throw thrown;
  }
}
