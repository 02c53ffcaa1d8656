import { Lru } from "../../internal/lru.ts";
import { Freezer } from "./freezer.ts";
import type { KeptRevision, LastEvent } from "./snapshots.ts";

/** A state that this process has made of what the store told. */
export interface CachedState<State> {
  readonly state: State;
  readonly last: LastEvent;
  /** The version of the state that is kept in the store, as far as is known; 0 for none. */
  readonly kept: number;
  /** The revision of what is kept there. */
  readonly revision: KeptRevision;
}

/** How large one state may be, and all together, about, in bytes; those that grow may take twice as much. */
const LARGEST = 4 * 2 ** 20;
const TOGETHER = 64 * 2 ** 20;

interface Slot<State> {
  made: CachedState<State>;
  /** What it was last counted as. */
  readonly size: number;
}

/**
 * The states that a process made last, by stream. They are frozen, so that nobody changes what is decided on next; what
 * cannot be frozen is not among them.
 */
export class StateCache<State> {
  readonly #slots: Lru<Slot<State>>;
  readonly #freezer: Freezer = new Freezer(LARGEST);

  /** @param states how many at most, 1 or more */
  constructor(states: number) {
    this.#slots = new Lru({ entries: states, size: TOGETHER });
  }

  /** The state of a stream, if there is one up to this version and time. */
  get(stream: string, version: number, at: number): CachedState<State> | undefined {
    const made = this.#slots.get(stream, 0)?.made;
    return made !== undefined && made.last.version <= version && made.last.at <= at ? made : undefined;
  }

  /** Takes a state, unless there is a newer one. */
  set(stream: string, { state, last, kept, revision }: CachedState<State>): void {
    const slot = this.#slots.get(stream, 0);
    const before = slot?.made;
    if (last.version === 0 || (before !== undefined && before.last.version > last.version)) return;
    if (before?.last.id === last.id && before.kept >= kept) return;
    const size = this.#freezer.freeze(state);
    const made = { state, last, kept, revision };
    if (size === undefined) this.#slots.delete(stream);
    else if (slot !== undefined && size <= 2 * slot.size) slot.made = made;
    // To be counted anew costs more than to be changed: that is for those that have grown.
    else this.#slots.set(stream, { made, size }, Infinity, size + 2 * stream.length);
  }

  /** Drops a state that is not of the events in the store. */
  drop(stream: string, wrong: CachedState<State>): void {
    if (this.#slots.get(stream, 0)?.made === wrong) this.#slots.delete(stream);
  }
}
