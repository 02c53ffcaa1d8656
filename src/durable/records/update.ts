import { CatgaError, faultOf, systemFault } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import { isThenable } from "../../internal/thenable.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import type { DoneMarks } from "../consumer.ts";
import { type AppliedHost, appliedMark, wasApplied, withMark } from "./applied.ts";
import {
  type AppliedMark,
  markOfRecord,
  NOTHING,
  readRecord,
  RECENT,
  type RecordEntry,
  STAY,
  ttlOf,
  writeRecord,
} from "./record_entry.ts";
import { type Cause, Outgoing, type Transaction } from "./transaction.ts";

/** What an update stands on. */
export interface UpdateHost<T> {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly retention: number;
  readonly inbox: DoneMarks | undefined;
  /** A state from what is kept of it. Throws `VALIDATION` for what the schema refuses. */
  decode(text: string | undefined): Promise<T | undefined>;
  /** A state as it is to be kept. Throws `VALIDATION` for what cannot be. */
  encode(state: T | undefined): Promise<string | undefined>;
  /** A record has something to tell. */
  wake(mark: string): void;
}

/** One update of one record. */
export interface UpdateOrder<T> {
  /** Where the record is kept. */
  readonly key: string;
  /** What keeps the order of its messages, and what their ids begin with. */
  readonly name: string;
  /** Names this update, and no other. */
  readonly attempt: string;
  readonly change: (state: T | undefined, tx: Transaction) => T | undefined;
  readonly cause: Cause | undefined;
  readonly step: string | undefined;
  /** When to give up, by the monotonic clock, in ms. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
}

/** The longest one question to the store may take, in ms. */
const PATIENCE = 3000;
/** How long to wait between two tries, in ms: twice as long each time, up to the second. */
const DELAY = 2;
const LONGEST = 250;
/** How often an update is tried, and how often at once where others were faster. */
const TRIES = 100;
const AT_ONCE = 3;
/** How many messages a record may have to tell, and how many characters a store takes. */
const OUTBOX = 1000;
const ROOM = 262_144;

/** A write that may have happened, or may still. */
interface Doubt {
  readonly revision: number | "absent";
  readonly updates: number;
}

/** Changes a record by compare-and-set, again and again until it is done or provably is not. */
export class Update<T> implements AppliedHost {
  readonly runtime: Runtime;
  readonly retention: number;
  readonly inbox: DoneMarks | undefined;
  readonly #host: UpdateHost<T>;
  readonly #order: UpdateOrder<T>;
  readonly #mark: AppliedMark | undefined;
  #doubt: Doubt | undefined;
  /** What the store rejected with last. */
  #rejection: unknown;

  constructor(host: UpdateHost<T>, order: UpdateOrder<T>) {
    this.runtime = host.runtime;
    this.retention = host.retention;
    this.inbox = host.inbox;
    this.#host = host;
    this.#order = order;
    this.#mark = order.cause && appliedMark(order.cause, order.step);
  }

  async run(): Promise<T | undefined> {
    const { clock, random } = this.runtime;
    const { deadline, signal } = this.#order;
    for (let tries = 1;; tries++) {
      try {
        return await this.#try();
      } catch (thrown) {
        if (thrown !== this.#rejection) throw thrown;
        const delay = backoff(tries, DELAY, LONGEST, random.u32());
        const late = tries >= TRIES || clock.mono() + delay >= deadline;
        if (late || signal?.aborted || !mayHeal(thrown)) throw this.#verdict(thrown);
        // The first conflicts are mostly with the relay, which is done by then.
        if (tries > AT_ONCE || faultOf(thrown).code !== "CONFLICT") await sleep(clock, delay, signal);
      }
    }
  }

  async ask<A>(work: (store: Store, signal: AbortSignal) => Promise<A>): Promise<A> {
    const { clock } = this.runtime;
    const { deadline, signal } = this.#order;
    const limit = Math.min(PATIENCE, Math.max(deadline - clock.mono(), 1));
    try {
      return await askStore({ clock, limit, signal }, (signal) => work(this.#host.store, signal));
    } catch (thrown) {
      throw this.#rejection = thrown;
    }
  }

  async #try(): Promise<T | undefined> {
    const { key, change, cause } = this.#order;
    const host = this.#host;
    const entry = await this.ask((store, signal) => store.get(key, { signal }));
    const record = readRecord(entry);
    if (this.#isDone(entry, record)) return await host.decode(record.state);
    if (this.#mark !== undefined && await this.#wasApplied(record)) return await host.decode(record.state);
    const outgoing = new Outgoing(cause);
    const next = change(await host.decode(record.state), outgoing);
    outgoing.close();
    if (isThenable(next)) {
      throw new TypeError(`Cannot change "${key}": the change must not wait for anything`);
    }
    const state = await host.encode(next);
    if (outgoing.size > 0) await this.#write(await this.#announced(entry, record), record, state, outgoing);
    else if (state !== record.state || this.#mark !== undefined) {
      await this.#write(entry?.revision ?? "absent", record, state, outgoing);
    }
    return next;
  }

  /** Whether an earlier try came through after all. */
  #isDone(entry: Entry | undefined, { recent, updates }: RecordEntry): boolean {
    if (recent.includes(this.#order.attempt)) return true;
    const doubt = this.#doubt;
    if (doubt === undefined || (entry?.revision ?? "absent") === doubt.revision) return false;
    // What expected another revision cannot come through any more: it did, or never will.
    const since = updates - doubt.updates;
    if (entry !== undefined && (since < 0 || since > RECENT)) throw this.#verdict(undefined);
    this.#doubt = undefined;
    return false;
  }

  async #wasApplied(record: RecordEntry): Promise<boolean> {
    return await wasApplied(this, this.#order.key, record, this.#mark!);
  }

  /**
   * Says that the record has something to tell, before it has: a crash between the two leaves a mark too many, never a
   * message that nobody knows of. The write that follows expects a revision that is older than the mark, also where
   * there is no record yet: so a relay can make it fail for good by touching the record, and take the mark away.
   */
  async #announced(entry: Entry | undefined, { outbox }: RecordEntry): Promise<number> {
    const { key } = this.#order;
    const place = { expected: "absent", ttl: STAY } as const;
    const revision = entry?.revision ??
      await this.ask((store, signal) => store.put(key, writeRecord(NOTHING), { ...place, signal }));
    // As long as a record has messages its mark stays.
    if (outbox.length === 0) await this.ask((store, signal) => store.put(markOfRecord(key), "", { signal }));
    return revision;
  }

  async #write(
    expected: number | "absent",
    record: RecordEntry,
    state: string | undefined,
    outgoing: Outgoing,
  ): Promise<void> {
    const { key, name, attempt } = this.#order;
    const messages = outgoing.size > 0 ? outgoing.sealed(await this.#idsOf(name, expected), name) : [];
    const marks = await withMark(this, key, record, this.#mark);
    const lasting = marks.applied.length > 0 || marks.moved;
    const next: RecordEntry = {
      ...marks,
      state,
      outbox: [...record.outbox, ...messages],
      updates: record.updates + 1,
      recent: [...record.recent.slice(1 - RECENT), attempt],
      stay: lasting ? Math.max(this.retention, STAY) : STAY,
    };
    const ttl = ttlOf(next);
    const value = writeRecord(next);
    this.#checkRoom(value.length, record.outbox.length, next.outbox.length);
    try {
      await this.ask((store, signal) => store.put(key, value, { expected, ttl, signal }));
    } catch (thrown) {
      const { code } = faultOf(thrown);
      if (code === "TRANSPORT" || code === "CANCELLED") {
        this.#doubt = { revision: expected, updates: record.updates };
      }
      throw thrown;
    }
    if (messages.length > 0) this.#host.wake(markOfRecord(key));
  }

  /** No two updates expect the same revision and both come through, so no two messages have one id. */
  async #idsOf(name: string, revision: number | "absent"): Promise<string> {
    const readable = `${name}@${revision}.`;
    return readable.length <= 120 ? readable : `${await this.runtime.crypto.hash(name)}@${revision}.`;
  }

  /** What waits to be told makes room when it is told, unlike what is too large by itself. */
  #checkRoom(size: number, before: number, messages: number): void {
    if (before === 0 || (messages <= OUTBOX && size <= ROOM)) return;
    const message =
      `Cannot change "${this.#order.key}" now: it still has ${before} messages to tell, and there ` +
      `is room for ${OUTBOX} messages and ${ROOM} characters`;
    throw this.#rejection = new CatgaError(systemFault("OVERLOADED", message));
  }

  /** What the caller hears: nothing was changed, unless it says that it may be. */
  #verdict(thrown: unknown): CatgaError {
    const { key } = this.#order;
    const { code, message } = faultOf(thrown);
    if (this.#doubt !== undefined) {
      const fault = `Nobody knows whether "${key}" was changed: the store did not answer in time`;
      return new CatgaError(systemFault(code === "CANCELLED" ? code : "TRANSPORT", fault, undefined, thrown));
    }
    if (code === "CONFLICT") {
      const fault = `Cannot change "${key}": others changed it each time; nothing was done`;
      return new CatgaError(systemFault("OVERLOADED", fault, undefined, thrown));
    }
    if (code === "TRANSPORT") {
      const fault = `Cannot change "${key}": the store does not answer; nothing was done`;
      return new CatgaError(systemFault("UNAVAILABLE", fault, undefined, thrown));
    }
    return CatgaError.is(thrown)
      ? thrown
      : new CatgaError(systemFault("INTERNAL", message, undefined, thrown));
  }
}

function mayHeal(thrown: unknown): boolean {
  return CatgaError.is(thrown) && (thrown.retryable || thrown.code === "CONFLICT");
}
