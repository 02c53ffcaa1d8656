import { faultOf } from "../../result.ts";
import type { Clock, Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { snapshot } from "../../internal/snapshot.ts";
import { parseJson } from "../../internal/safe_json.ts";
import { askStore } from "../ask_store.ts";

/** Where states are kept, so that not all events have to be read each time. */
export interface SnapshotOptions {
  /** Keeps them, under `snapshots/` and the name of the stream. */
  readonly store: Store;
  /** How many events come between two of them. @default 100 */
  readonly every?: number | undefined;
  /** To be changed whenever `evolve` or the state changes: those of another version are not used. @default 1 */
  readonly version?: number | undefined;
}

/** The last event that a state knows of. */
export interface LastEvent {
  readonly id: string;
  readonly version: number;
  readonly position: number;
  readonly at: number;
}

/** A state that was kept. */
export interface KeptState {
  readonly last: LastEvent;
  readonly state: unknown;
  readonly revision: number;
}

/** The revision of a state that is kept; `undefined` where none is. */
export type KeptRevision = number | undefined | "unknown";

/** How large a state can be that is kept, about, in bytes: two a character. */
const LARGEST = 2 * 262_144;

/** The states that are kept of one kind of stream. They only save reading: whatever is wrong with one, it is not used. */
export class Snapshots {
  readonly every: number;
  readonly #store: Store;
  readonly #version: number;
  readonly #runtime: Runtime;
  readonly #patience: number;

  constructor({ store, every = 100, version = 1 }: SnapshotOptions, runtime: Runtime, patience: number) {
    if (!(Number.isSafeInteger(every) && every >= 1)) {
      throw new RangeError(
        `Cannot keep a state every ${every} events: it must be a whole number from 1 upwards`,
      );
    }
    this.#store = store;
    this.every = every;
    this.#version = version;
    this.#runtime = runtime;
    this.#patience = patience;
  }

  /** The state that is kept of a stream, if one is that can be used. Rejects with `CANCELLED` only. */
  async find(stream: string, signal: AbortSignal | undefined): Promise<KeptState | undefined> {
    try {
      const entry = await this.#ask(signal, (signal) => this.#store.get(keyOf(stream), { signal }));
      return entry === undefined ? undefined : this.#read(stream, entry);
    } catch (thrown) {
      if (signal?.aborted) throw thrown;
      this.#warn(stream, "read", thrown);
      return undefined;
    }
  }

  /**
   * Keeps a state in the place of the one that was found, if there is none by now that is newer. Where it is unknown
   * what is there, it is looked at first. Never rejects.
   */
  async keep(
    stream: string,
    state: unknown,
    last: LastEvent,
    revision: KeptRevision,
  ): Promise<void> {
    try {
      let found = revision;
      if (found === "unknown") {
        const kept = await this.find(stream, undefined);
        if (kept !== undefined && last.version - kept.last.version < this.every) return;
        found = kept?.revision;
      }
      if (snapshot(state, LARGEST) === undefined) {
        throw new Error("it is larger than 262144 characters or not plain data, such as a Map or a Date");
      }
      const value = JSON.stringify({ v: this.#version, last, state });
      const expected = found ?? "absent";
      await this.#ask(undefined, (signal) => this.#store.put(keyOf(stream), value, { expected, signal }));
    } catch (thrown) {
      if (faultOf(thrown).code !== "CONFLICT") this.#warn(stream, "keep", thrown);
    }
  }

  /** What cannot be used has nothing of the stream, and is written over. */
  #read(stream: string, { value, revision }: Entry): KeptState {
    try {
      const { v, last, state } = parseJson(value) as { v: number; last: LastEvent; state: unknown };
      if (v === this.#version && last.version > 0) return { last, state, revision };
    } catch (thrown) {
      this.#warn(stream, "read", thrown);
    }
    return { last: NOTHING, state: undefined, revision };
  }

  #ask<T>(signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const clock: Pick<Clock, "timer"> = this.#runtime.clock;
    return askStore({ clock, limit: this.#patience, signal }, ask);
  }

  #warn(stream: string, verb: string, thrown: unknown): void {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    this.#runtime.log({
      level: "warn",
      event: "snapshot.failed",
      message: `Cannot ${verb} the state of "${stream}": ${why}`,
      fields: { stream },
    });
  }
}

/** The last event of a stream that has none. */
export const NOTHING: LastEvent = { id: "", version: 0, position: 0, at: 0 };

function keyOf(stream: string): string {
  return `snapshots/${stream}`;
}
