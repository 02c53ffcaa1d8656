import { CatgaError, faultOf, systemFault } from "../../result.ts";
import type { EventStore, ReadOptions, StoredEvent } from "../../ports/event_store.ts";
import type { Runtime } from "../../ports/runtime.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import { isThenable } from "../../internal/thenable.ts";
import { askStore } from "../ask_store.ts";
import type { EventCodec } from "./event_codec.ts";
import type { SourcedEvent } from "./event_types.ts";
import { type LastEvent, NOTHING, type Snapshots } from "./snapshots.ts";
import type { CachedState, StateCache } from "./state_cache.ts";

/** How often the store is looked at when it fails. */
const LOOKS = 4;
/** How many events are read at a time. */
const PAGE = 1000;
/** How long to wait at most before the second time, in ms: twice as long each time, up to the second. */
const DELAY = 20;
const LONGEST = 1000;

/** What a stream comes to. */
export interface ReadState<State> extends CachedState<State> {
  /** The event that was looked for, if it is there; after a hasty read only if it is among what was read. */
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
  /** Takes a page that is not full for the last one, which it nearly always is, and looks for nothing before it. */
  readonly hasty?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode StreamReader} stands on. */
export interface ReaderHost<State> {
  readonly store: EventStore;
  readonly runtime: Runtime;
  readonly codec: EventCodec;
  readonly snapshots: Snapshots | undefined;
  readonly cache: StateCache<State> | undefined;
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
    const { cache, snapshots, initial } = this.#host;
    const { version = Infinity, at = Infinity, signal } = range;
    const cached = cache?.get(stream, version, at);
    let made: ReadState<State> | undefined;
    if (cached !== undefined) {
      made = await this.#fold(stream, range, cached, true);
      if (made === undefined) cache!.drop(stream, cached);
    }
    if (made === undefined) {
      const kept = await snapshots?.find(stream, signal);
      const revision = kept?.revision;
      if (kept !== undefined && isWithin(kept.last, version, at)) {
        const state = kept.state as State;
        made = await this.#fold(stream, range, { state, last: kept.last, kept: kept.last.version, revision });
      }
      made ??= (await this.#fold(stream, range, { state: initial, last: NOTHING, kept: 0, revision }))!;
    }
    if (version === Infinity && at === Infinity) cache?.set(stream, made);
    return made;
  }

  /** Keeps what was read, now and then: what the store has told, so that it is what reading all would give. */
  keep(stream: string, made: ReadState<State>): void {
    const { cache, snapshots, runtime } = this.#host;
    const { state, last, kept, revision } = made;
    if (snapshots === undefined || last.version - kept < snapshots.every) return;
    runtime.background(snapshots.keep(stream, state, last, revision));
    cache?.set(stream, { state, last, kept: last.version, revision: "unknown" });
  }

  /** The event of a stream that has an id. */
  find(stream: string, id: string, signal: AbortSignal | undefined): Promise<StoredEvent | undefined> {
    return this.look(signal, (signal) => this.#host.store.find(stream, id, { signal }));
  }

  /** The events of a stream from a version on. */
  async *events(
    stream: string,
    from: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<StoredEvent, void, undefined> {
    for (let next = from;;) {
      const page = await this.page(stream, { signal }, { from: next, limit: PAGE });
      if (page.length === 0) return;
      yield* page;
      next = page.at(-1)!.version + 1;
    }
  }

  /** Some events of a stream. */
  page(
    stream: string,
    { signal }: Pick<ReadRange, "signal">,
    what: Pick<ReadOptions, "from" | "limit" | "backward">,
  ): Promise<readonly StoredEvent[]> {
    return this.look(signal, (signal) => this.#host.store.read(stream, { ...what, signal }));
  }

  /** Looks at the event store, a few times if need be. */
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

  /** Asks the event store once, but not for ever. */
  ask<T>(signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime, patience } = this.#host;
    return askStore({ clock: runtime.clock, limit: patience, signal, asked: "event store" }, ask);
  }

  /** `undefined` where the state to begin with is not of these events, such as after the store was put back. */
  async #fold(
    stream: string,
    range: ReadRange,
    start: CachedState<State>,
    isCached: boolean = false,
  ): Promise<ReadState<State> | undefined> {
    const { codec, evolve } = this.#host;
    const { version: end = Infinity, at = Infinity, seek, hasty = false } = range;
    const begun = start.last.version;
    let { state, last } = start;
    // Not all is read: what was there before has to be looked for.
    const seeking = seek === undefined || hasty || begun === 0
      ? undefined
      : this.find(stream, seek, range.signal);
    seeking?.catch(() => {});
    let sought: StoredEvent | undefined;
    const done = (complete: boolean): ReadState<State> | Promise<ReadState<State>> => {
      const { id, version, position, at } = last;
      const { kept, revision } = start;
      const made = { state, last: { id, version, position, at }, kept, revision, sought, complete };
      return sought !== undefined || seeking === undefined
        ? made
        : seeking.then((sought) => ({ ...made, sought }));
    };
    if (isCached && !hasty && end === Infinity && at === Infinity) {
      // Mostly nothing has happened since, and one look shows it.
      const [newest] = await this.page(stream, range, { backward: true, limit: 1 });
      if (newest?.version === begun) return newest.id === last.id ? done(true) : undefined;
    }
    // The event that the state to begin with ends with is read again: it shows that these are still the same events.
    for (let from = begun || 1;; from = last.version + 1) {
      const page = await this.page(stream, range, { from, limit: PAGE });
      if (page.length === 0) return begun > 0 && from === begun ? undefined : done(true);
      for (const event of page) {
        if (event.id === seek) sought = event;
        if (event.version === begun) {
          if (event.id !== last.id) return undefined;
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

function isWithin({ version, at: time }: LastEvent, end: number, at: number): boolean {
  return version > 0 && version <= end && time <= at;
}

function gap({ stream, version }: StoredEvent, before: number): CatgaError {
  const message =
    `Cannot read "${stream}": after version ${before} comes ${version}; the store has lost events`;
  return new CatgaError(systemFault("SERIALIZATION", message, { stream, version }));
}
