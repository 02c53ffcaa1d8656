import { CatgaError } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import type { EndSignal } from "../internal/ending.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Entry, Store } from "../ports/store.ts";
import { askStore } from "./ask_store.ts";
import { type LeaseRecord, recordOf, tokenOf } from "./lease_record.ts";

/** How far two clocks may drift apart: one part in a hundred. */
const DRIFT = 0.01;
/** How long to wait after the first failure of the store, in ms. */
const DELAY = 10;

/** A writing of a lease that the store has confirmed. */
export interface Grant {
  readonly token: number;
  readonly revision: number;
  /** When it was asked for, in ms of the monotonic clock. */
  readonly since: number;
  /** When the store may begin to think that it is over, in ms of the monotonic clock. */
  readonly until: number;
}

/** What one claim on a lease has to do with the store. */
export class LeaseClaim {
  readonly key: string;
  readonly owner: string;
  readonly ttl: number;
  readonly runtime: Runtime;
  readonly #store: Store;
  readonly #id: string;
  /** Whether the store may have something of it, or get it later. */
  written: boolean = false;

  constructor(key: string, owner: string, ttl: number, store: Store, runtime: Runtime) {
    this.key = key;
    this.owner = owner;
    this.ttl = ttl;
    this.runtime = runtime;
    this.#store = store;
    const { random } = runtime;
    this.#id = `${random.u32().toString(36)}-${random.u32().toString(36)}`;
  }

  /** The longest one request may take, in ms. */
  get patience(): number {
    return this.ttl / 3;
  }

  isMine(entry: Entry | undefined): entry is Entry {
    return recordOf(entry)?.id === this.#id;
  }

  read(signal: EndSignal | undefined): Promise<Entry | undefined> {
    return this.#ask(signal, (signal) => this.#store.get(this.key, { signal }));
  }

  /** Writes the lease where there is nothing, or over an entry that is its own. */
  write(mine: Entry | undefined, signal: EndSignal | undefined): Promise<Grant> {
    const token = mine && tokenOf(mine, recordOf(mine)!);
    return this.#write(token, mine?.revision ?? "absent", signal);
  }

  /** Writes the lease once more. */
  renew(grant: Grant, signal: EndSignal | undefined): Promise<Grant> {
    return this.#write(grant.token, grant.revision, signal);
  }

  /**
   * Takes the lease away if it is this claim's, whatever became of its writings. Goes on for as long as the store
   * may keep it; never rejects.
   *
   * @param revision the one it is known to have
   */
  async remove(revision?: number): Promise<void> {
    const { clock } = this.runtime;
    const end = clock.mono() + this.ttl;
    let expected = revision;
    for (let failures = 1; clock.mono() < end; failures++) {
      try {
        if (expected === undefined) {
          const entry = await this.read(undefined);
          if (!this.isMine(entry)) return;
          expected = entry.revision;
        }
        const known = expected;
        await this.#ask(undefined, (signal) => this.#store.delete(this.key, { expected: known, signal }));
        return;
      } catch (thrown) {
        expected = undefined;
        if (!isConflict(thrown)) await this.rest(failures);
      }
    }
  }

  /** Waits a little after the store has failed so many times in a row. */
  rest(failures: number, signal?: EndSignal): Promise<void> {
    const { clock, random } = this.runtime;
    return sleep(clock, backoff(failures, DELAY, this.patience, random.u32()), signal);
  }

  async #write(
    token: number | undefined,
    expected: number | "absent",
    signal: EndSignal | undefined,
  ): Promise<Grant> {
    const record: LeaseRecord = {
      owner: this.owner,
      id: this.#id,
      ...(token === undefined ? {} : { token }),
    };
    const value = JSON.stringify(record);
    const { ttl } = this;
    // The store's time begins when it writes, which is after this.
    const since = this.runtime.clock.mono();
    try {
      const revision = await this.#ask(
        signal,
        (signal) => this.#store.put(this.key, value, { expected, ttl, signal }),
      );
      this.written = true;
      return { token: token ?? revision, revision, since, until: since + ttl * (1 - DRIFT) };
    } catch (thrown) {
      this.written ||= !wroteNothing(thrown);
      throw thrown;
    }
  }

  #ask<T>(signal: EndSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return askStore({ clock: this.runtime.clock, limit: this.patience, signal }, ask);
  }
}

function wroteNothing(thrown: unknown): boolean {
  return CatgaError.is(thrown) &&
    ["CONFLICT", "UNAVAILABLE", "OVERLOADED", "VALIDATION"].includes(thrown.code);
}

/** Whether somebody was faster. */
export function isConflict(thrown: unknown): boolean {
  return CatgaError.is(thrown) && thrown.code === "CONFLICT";
}
