import { CatgaError, type Fault, faultOf, systemFault } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import type { DeadLetters } from "../dead_letters_types.ts";
import { cron } from "./cron.ts";
import { SCHEDULES, topicOfFiring, writeFiring } from "./firing_letter.ts";
import { type CronEntry, ONCE, type OnceEntry, readEntry, writeEntry } from "./schedule_entry.ts";
import type { Deliver } from "./scheduler.ts";

/** What a firing stands on. */
export interface FiringHost {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly deliver: Deliver;
  /** Where what cannot be delivered is kept. */
  readonly letters: Pick<DeadLetters, "put">;
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

/** One time of something that is scheduled, on its way to be delivered. */
export class Firing {
  readonly id: string;
  busy: boolean = false;
  failures: number = 0;
  /** Not to be tried before, by the monotonic clock. */
  retryAt: number = 0;
  readonly #host: FiringHost;
  readonly #time: number;
  /** It was delivered, or is a dead letter; only the store does not know yet. */
  #settled = false;
  /** What it could not be delivered for. */
  #failure: CatgaError | undefined;

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
      const isAnothers = CatgaError.is(thrown) && thrown.code === "CONFLICT" && thrown !== this.#failure;
      if (isAnothers && !this.#settled) return true;
      if (!signal.aborted && this.failures === 0) this.#warn(thrown);
      this.retryAt = clock.mono() + backoff(++this.failures, DELAY, LONGEST, random.u32());
      return false;
    } finally {
      this.busy = false;
    }
  }

  async #once(entry: Entry): Promise<void> {
    const { store, ask } = this.#host;
    const { key, value } = entry;
    const once = readable<OnceEntry>(entry);
    let expected = entry.revision;
    if (CatgaError.is(once)) await this.#bury(undefined, value, 1, once);
    else {
      // Whoever calls it off is either earlier than this, or too late.
      const firing: OnceEntry = { ...once, firing: true };
      if (!once.firing) expected = await this.#write(key, firing, expected);
      const fault = await this.#deliver(once);
      if (fault !== undefined) await this.#refused(key, firing, expected, fault);
    }
    await ask((signal) => store.delete(key, { expected, signal }));
  }

  async #cron(entry: Entry): Promise<void> {
    const { runtime: { clock } } = this.#host;
    const { key } = entry;
    const kept = readEntry<CronEntry>(entry);
    const { firing: _firing, refused: _refused, ...idle } = kept;
    let expected = entry.revision;
    let going = kept;
    if (kept.firing === undefined) {
      const now = clock.wall();
      const next = cron(kept.expression, { zone: kept.zone }).next(Math.max(now, kept.next));
      const isMissed = kept.missed === "skip" && now - kept.next > TOLERANCE;
      going = isMissed ? { ...idle, next } : { ...idle, next, firing: kept.next };
      expected = await this.#write(key, going, expected);
      if (isMissed) return;
    }
    const fault = await this.#deliver(kept);
    if (fault !== undefined) await this.#refused(key, going, expected, fault);
    await this.#write(key, { ...idle, next: going.next }, expected);
  }

  /** Delivers it, unless it was; answers what trying again does not heal. Throws what may heal. */
  async #deliver({ message, headers }: OnceEntry | CronEntry): Promise<Fault | undefined> {
    if (this.#settled) return undefined;
    const { deliver, delivered } = this.#host;
    const result = await this.#bounded(async (signal) => {
      const { id } = this;
      return await deliver(message, { id, headers, signal });
    });
    if (result === undefined || result.ok) {
      this.#settled = true;
      delivered();
      return undefined;
    }
    const { error } = result;
    if (!error.retryable) return error;
    throw this.#failure = new CatgaError(error);
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

  /** Counts, in the store, that it cannot be delivered, and throws; the last time it becomes a dead letter. */
  async #refused(
    key: string,
    entry: OnceEntry | CronEntry,
    expected: number,
    fault: Fault,
  ): Promise<void> {
    const refused = (entry.refused ?? 0) + 1;
    if (refused < TRIES) {
      await this.#write(key, { ...entry, refused }, expected);
      throw this.#failure = new CatgaError({ ...fault, retryable: true });
    }
    const { message, headers } = entry;
    await this.#bury(entry, writeFiring({ id: this.id, message, headers }), refused, fault);
  }

  async #bury(
    entry: OnceEntry | CronEntry | undefined,
    payload: string,
    attempts: number,
    fault: Fault,
  ): Promise<void> {
    const { letters, runtime } = this.#host;
    const id = entry !== undefined && "letter" in entry ? entry.letter ?? this.id : this.id;
    const topic = topicOfFiring(entry?.message.type ?? "");
    await letters.put({ topic, group: SCHEDULES, id, payload, pushed: this.#time, attempts, fault });
    this.#settled = true;
    const { code, message } = fault;
    runtime.log({
      level: "error",
      event: "scheduler.buried",
      message: `Cannot deliver "${this.id}", which is a dead letter now: ${message}`,
      fields: { id: this.id, attempts, code },
    });
  }

  #write(key: string, entry: OnceEntry | CronEntry, expected: number): Promise<number> {
    const { store, ask } = this.#host;
    return ask((signal) => store.put(key, writeEntry(entry), { expected, signal }));
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
