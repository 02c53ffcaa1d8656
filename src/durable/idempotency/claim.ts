import { CatgaError } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { Ending, type EndSignal } from "../../internal/ending.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import type { Frame } from "../../ports/transport.ts";
import { askStore } from "../ask_store.ts";
import { decodeRecord, encodeRecord } from "./answer_record.ts";
import type { CallKey } from "./call_key.ts";

/** How far two clocks may drift apart: one part in a hundred. */
const DRIFT = 0.01;
/** How much earlier an owner is told than its claim is over, since timers run late: a part of its time. */
const LATENESS = 0.01;
/** How long to wait after the first failure of the store, in ms. */
const DELAY = 10;
/** How often the store may fail in a row before a call is refused. */
const TRIES = 3;
/** How long an answer is tried to be kept, in times that a claim lasts. */
const PERSISTENCE = 2;

/** What a claim stands on. */
export interface ClaimHost {
  readonly store: Store;
  readonly runtime: Runtime;
  /** How long a claim lasts after its owner was last heard of, in ms. */
  readonly ttl: number;
}

/**
 * What became of an answer: it is kept; another call is the one that counts by now; the store takes no such value;
 * the store could not be asked, so that nobody knows.
 */
export type Completion = "kept" | "superseded" | "refused" | "unknown";

/**
 * The right to handle one call, as an entry that goes of itself unless it is renewed; the answer takes its place. All
 * is written over the revision that was written last, so nothing of an owner that lost its claim is ever taken.
 */
export class Claim {
  readonly #host: ClaimHost;
  readonly #key: CallKey;
  readonly #id: string;
  readonly #closed: Ending = new Ending();
  #revision: number | undefined;
  /** When it was written at the earliest, in ms of the monotonic clock. */
  #since = 0;

  constructor(host: ClaimHost, key: CallKey) {
    this.#host = host;
    this.#key = key;
    const { random } = host.runtime;
    this.#id = `${random.u32().toString(36)}-${random.u32().toString(36)}`;
  }

  /**
   * Takes the call if it is nobody's. Answers the entry that is in the way, or `undefined` when it was taken. Rejects
   * when the store cannot be asked, or once the signal aborts; then nothing of it stays.
   */
  async take(signal: EndSignal): Promise<Entry | undefined> {
    try {
      return await this.#take(signal);
    } catch (thrown) {
      this.#host.runtime.background(this.release());
      throw thrown;
    }
  }

  async #take(signal: EndSignal): Promise<Entry | undefined> {
    const { clock } = this.#host.runtime;
    let expected: number | "absent" = "absent";
    for (let turns = 1, failures = 0;; turns++) {
      try {
        const since = clock.mono();
        this.#revision = await this.#put(undefined, expected, this.#host.ttl, signal);
        this.#since = since;
        // An answer that came too late says nothing about now.
        if (clock.mono() < this.#until) return undefined;
        expected = this.#revision;
        continue;
      } catch (thrown) {
        if (!is(thrown, "CONFLICT") && (!mayHeal(thrown) || ++failures >= TRIES)) throw thrown;
      }
      // It may be written all the same: what is there decides.
      try {
        const entry = await this.#read(signal);
        if (entry !== undefined && !this.#isMine(entry)) return entry;
        expected = entry?.revision ?? "absent";
        if (entry !== undefined) continue;
      } catch (thrown) {
        if (!mayHeal(thrown) || ++failures >= TRIES) throw thrown;
      }
      await this.#rest(turns, signal);
    }
  }

  /** Renews the claim at each third of its time, until it is ended; says so, in time, if it is lost. */
  async keep(lost: () => void): Promise<void> {
    const { runtime: { clock }, ttl } = this.#host;
    const closed = this.#closed;
    while (!closed.aborted) {
      await sleep(clock, Math.max(this.#since + ttl / 3 - clock.mono(), 0), closed);
      if (closed.aborted || await this.#renewInTime() || closed.aborted) continue;
      closed.end();
      lost();
    }
  }

  /** Renews it no more: it goes of itself. */
  abandon(): void {
    this.#closed.end();
  }

  /** Puts the answer in the place of the claim, or where the claim has gone and nobody else has come. */
  async complete(answer: Frame, retention: number): Promise<Completion> {
    const { runtime: { clock }, ttl } = this.#host;
    this.#closed.end();
    const end = clock.mono() + PERSISTENCE * ttl;
    let expected: number | "absent" = this.#revision!;
    for (let failures = 0;; failures++) {
      try {
        if (failures > 0) {
          if (clock.mono() >= end) return "unknown";
          await this.#rest(failures);
          const entry = await this.#read(undefined);
          if (entry !== undefined && !this.#isMine(entry)) return "superseded";
          if (decodeRecord(entry)?.answer !== undefined) return "kept";
          expected = entry?.revision ?? "absent";
        }
        await this.#put(answer, expected, retention < Infinity ? retention : undefined, undefined);
        return "kept";
      } catch (thrown) {
        if (is(thrown, "VALIDATION")) return "refused";
      }
    }
  }

  /** Gives the call back, so that it may be handled again. Goes on for as long as the claim may stay; never rejects. */
  async release(): Promise<void> {
    const { store, runtime: { clock }, ttl } = this.#host;
    this.#closed.end();
    const end = clock.mono() + ttl;
    for (let failures = 1; clock.mono() < end; failures++) {
      try {
        if (this.#revision === undefined) {
          const entry = await this.#read(undefined);
          if (entry === undefined || !this.#isMine(entry)) return;
          this.#revision = entry.revision;
        }
        const expected = this.#revision;
        await this.#ask(undefined, (signal) => store.delete(this.#key.key, { expected, signal }));
        return;
      } catch {
        this.#revision = undefined;
        await this.#rest(failures);
      }
    }
  }

  /** When the store may begin to think that it is over, in ms of the monotonic clock. */
  get #until(): number {
    return this.#since + this.#host.ttl * (1 - DRIFT);
  }

  async #renewInTime(): Promise<boolean> {
    const { runtime: { clock }, ttl } = this.#host;
    const left = this.#until - LATENESS * ttl - clock.mono();
    if (left <= 0) return false;
    const over = new Ending();
    const leave = over.follow(this.#closed);
    const stop = clock.timer(left, () => over.end());
    const renewed = await this.#renew(over);
    stop();
    leave();
    return renewed;
  }

  async #renew(over: EndSignal): Promise<boolean> {
    const { runtime: { clock }, ttl } = this.#host;
    for (let failures = 0; clock.mono() < this.#until && !over.aborted; failures++) {
      try {
        if (failures > 0) {
          await this.#rest(failures, over);
          const entry = await this.#read(over);
          if (entry === undefined || !this.#isMine(entry)) return false;
          this.#revision = entry.revision;
        }
        const since = clock.mono();
        this.#revision = await this.#put(undefined, this.#revision!, ttl, over);
        this.#since = since;
        return true;
      } catch {
        // What is there decides.
      }
    }
    return false;
  }

  #isMine(entry: Entry): boolean {
    return decodeRecord(entry)?.id === this.#id;
  }

  #put(
    answer: Frame | undefined,
    expected: number | "absent",
    ttl: number | undefined,
    signal: EndSignal | undefined,
  ): Promise<number> {
    const value = encodeRecord({ id: this.#id, payload: this.#key.payload, answer });
    const { store } = this.#host;
    return this.#ask(signal, (signal) => store.put(this.#key.key, value, { expected, ttl, signal }));
  }

  #read(signal: EndSignal | undefined): Promise<Entry | undefined> {
    return this.#ask(signal, (signal) => this.#host.store.get(this.#key.key, { signal }));
  }

  #ask<T>(signal: EndSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime: { clock }, ttl } = this.#host;
    return askStore({ clock, limit: ttl / 3, signal }, ask);
  }

  #rest(failures: number, signal?: EndSignal): Promise<void> {
    const { runtime: { clock, random }, ttl } = this.#host;
    return sleep(clock, backoff(failures, DELAY, ttl / 3, random.u32()), signal);
  }
}

function mayHeal(thrown: unknown): boolean {
  return CatgaError.is(thrown) && thrown.retryable;
}

function is(thrown: unknown, code: string): boolean {
  return CatgaError.is(thrown) && thrown.code === code;
}
