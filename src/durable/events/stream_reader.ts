import { CatgaError, faultOf, systemFault } from "../../result.ts";
import type { EventStore, StoredEvent } from "../../ports/event_store.ts";
import type { Runtime } from "../../ports/runtime.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import { isThenable } from "../../internal/thenable.ts";
import { askStore } from "../ask_store.ts";
import type { EventCodec } from "./event_codec.ts";
import type { SourcedEvent } from "./event_types.ts";
import { type KeptState, type LastEvent, NOTHING, type Snapshots } from "./snapshots.ts";

/** How often the store is looked at when it fails. */
const LOOKS = 4;
/** How many events are read at a time. */
const PAGE = 1000;
/** How long to wait at most before the second time, in ms: twice as long each time, up to the second. */
const DELAY = 20;
const LONGEST = 1000;

/** What a stream comes to. */
export interface ReadState<State> {
  readonly state: State;
  readonly last: LastEvent;
  /** The version of the state that was kept, 0 if none was used. */
  readonly kept: number;
  /** The revision of what is kept of it; `undefined` for nothing. */
  readonly revision: number | undefined;
  /** The event that was looked for, if it is among those that were read. */
  readonly sought: StoredEvent | undefined;
  /** Whether there was nothing more; else there may have been. */
  readonly complete: boolean;
}

/** What to read of a stream. */
export interface ReadRange {
  /** The last version, if not all. */
  readonly version?: number | undefined;
  /** The last time, in ms since 1970 by the store's clock. */
  readonly at?: number | undefined;
  /** The id of an event to look for. */
  readonly seek?: string | undefined;
  /** Takes a page that is not full for the last one, which it nearly always is. */
  readonly hasty?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode StreamReader} stands on. */
export interface ReaderHost<State> {
  readonly store: EventStore;
  readonly runtime: Runtime;
  readonly codec: EventCodec;
  readonly snapshots: Snapshots | undefined;
  readonly initial: State;
  evolve(state: State, event: SourcedEvent): State;
  /** How long one request may take, in ms. */
  readonly patience: number;
}

/** Makes states of streams. */
export class StreamReader<State> {
  readonly #host: ReaderHost<State>;

  constructor(host: ReaderHost<State>) {
    this.#host = host;
  }

  /** Rejects with `SERIALIZATION` for an event that cannot be read, or with what the store rejects with. */
  async read(stream: string, range: ReadRange = {}): Promise<ReadState<State>> {
    const kept = await this.#host.snapshots?.find(stream, range.signal);
    const usable = kept !== undefined && kept.last.version > 0 &&
      kept.last.version <= (range.version ?? Infinity) && kept.last.at <= (range.at ?? Infinity);
    return (usable ? await this.#fold(stream, range, kept, true) : undefined) ??
      (await this.#fold(stream, range, kept, false))!;
  }

  /** Looks at the store, a few times if need be. */
  async look<T>(signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, random } = this.#host.runtime;
    for (let tries = 1;; tries++) {
      try {
        return await this.ask(signal, ask);
      } catch (thrown) {
        if (tries >= LOOKS || !faultOf(thrown).retryable) throw thrown;
        await sleep(clock, backoff(tries, DELAY, LONGEST, random.u32()), signal);
      }
    }
  }

  /** Asks the store once, but not for ever. */
  ask<T>(signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime, patience } = this.#host;
    return askStore({ clock: runtime.clock, limit: patience, signal }, ask);
  }

  /** `undefined` where the state that is kept is not of these events, such as after the store was put back. */
  async #fold(
    stream: string,
    { version: end = Infinity, at = Infinity, seek, hasty, signal }: ReadRange,
    kept: KeptState | undefined,
    use: boolean,
  ): Promise<ReadState<State> | undefined> {
    const { store, codec, initial, evolve } = this.#host;
    let last: LastEvent = use ? kept!.last : NOTHING;
    let state = use ? kept!.state as State : initial;
    let sought: StoredEvent | undefined;
    const done = (complete: boolean): ReadState<State> => {
      const { id, version, position, at } = last;
      return {
        state,
        last: { id, version, position, at },
        kept: use ? kept!.last.version : 0,
        revision: kept?.revision,
        sought,
        complete,
      };
    };
    // The event that the kept state ends with is read again: it shows that these are still the same events.
    for (let from = use ? last.version : 1;; from = last.version + 1) {
      const page = await this.look(signal, (signal) => store.read(stream, { from, limit: PAGE, signal }));
      if (page.length === 0) return use && from === kept!.last.version ? undefined : done(true);
      for (const event of page) {
        if (event.id === seek) sought = event;
        if (use && event.version === kept!.last.version) {
          if (event.id !== kept!.last.id) return undefined;
          continue;
        }
        if (event.version > end || event.at > at) return done(true);
        if (event.version !== last.version + 1) throw gap(event, last.version);
        const decoded = codec.decode(event);
        state = evolve(state, isThenable(decoded) ? await decoded : decoded);
        last = event;
      }
      if (hasty && page.length < PAGE) return done(false);
    }
  }
}

function gap({ stream, version }: StoredEvent, before: number): CatgaError {
  const message =
    `Cannot read "${stream}": after version ${before} comes ${version}; the store has lost events`;
  return new CatgaError(systemFault("SERIALIZATION", message, { stream, version }));
}
