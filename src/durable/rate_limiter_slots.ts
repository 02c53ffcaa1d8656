import { CatgaError } from "../result.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Entry, Store } from "../ports/store.ts";
import { askStore } from "./ask_store.ts";
import type { RateMeasure } from "./rate_limiter_measure.ts";

/** What slots stand on. */
export interface SlotsHost {
  readonly store: Store;
  readonly runtime: Runtime;
}

/** What is known of a slot of which something was taken. */
interface Slot {
  readonly used: number;
  readonly revision: number;
  /** When all of it will be back at the latest, in ms of the monotonic clock. */
  readonly free: number;
}

/** What came of taking some. */
export interface Taken {
  readonly tokens: number;
  /** Why it is not all of it: `CONFLICT` where others were faster. */
  readonly failure: { readonly cause: unknown } | undefined;
}

/** By how much less to go out of the way of others after each time that it was not needed, in slots. */
const CALM = 0.25;

/** The slots of one limit of one key, as the store had them when it was asked last. */
export class RateLimiterSlots {
  readonly #place: string;
  readonly #host: SlotsHost;
  readonly #known: Map<number, Slot> = new Map();
  #spread = 1;

  /** @param place what the keys of the slots begin with */
  constructor(place: string, host: SlotsHost) {
    this.#place = place;
    this.#host = host;
  }

  /** How much may be taken of them. */
  left(measure: RateMeasure): number {
    let left = 0;
    for (let slot = 0; slot < measure.slots; slot++) left += this.#room(measure, slot);
    return left;
  }

  /** When so much that is missing will be back at the latest, in ms of the monotonic clock. */
  back(missing: number): number {
    let until = -Infinity;
    for (const { used, free } of [...this.#known.values()].sort((a, b) => a.free - b.free)) {
      if (missing <= 0) break;
      missing -= used;
      until = free;
    }
    return until;
  }

  /** Learns how all of them are. */
  async look(measure: RateMeasure): Promise<void> {
    const entries = await this.#ask(
      measure,
      (signal) => this.#host.store.list(this.#place, { limit: measure.slots, signal }),
    );
    const before = new Map(this.#known);
    this.#known.clear();
    for (const { key, value, revision } of entries) {
      const slot = Number(key.slice(this.#place.length));
      const same = before.get(slot);
      const free = same?.revision === revision ? same.free : this.#host.runtime.clock.mono() + measure.ttl;
      this.#known.set(slot, { used: usedOf(value), revision, free });
    }
  }

  /**
   * Takes so much of them, or what there is, and answers how much. First come those that most was taken of: few are open
   * at a time then, and all of a slot is back soon after the first of it. Where others are faster it goes to further
   * ones, the further the more often that happens.
   */
  async take(measure: RateMeasure, wanted: number): Promise<Taken> {
    const open: number[] = [];
    for (let slot = 0; slot < measure.slots; slot++) if (this.#room(measure, slot) > 0) open.push(slot);
    open.sort((a, b) => this.#used(b) - this.#used(a));
    const first = this.#host.runtime.random.u32() %
      Math.max(Math.min(Math.round(this.#spread), open.length), 1);
    const taking: Promise<number>[] = [];
    for (let at = 0, left = wanted; at < open.length && left > 0; at++) {
      const slot = open[(first + at) % open.length]!;
      const tokens = Math.min(left, this.#room(measure, slot));
      left -= tokens;
      taking.push(this.#take(measure, slot, tokens));
    }
    let tokens = 0;
    let failure: Taken["failure"];
    for (const answer of await Promise.allSettled(taking)) {
      if (answer.status === "fulfilled") tokens += answer.value;
      else if (failure === undefined || isConflict(failure.cause)) failure = { cause: answer.reason };
    }
    const spread = failure === undefined ? this.#spread - CALM : this.#spread * 2;
    this.#spread = Math.min(Math.max(spread, 1), measure.slots);
    return { tokens, failure };
  }

  async #take(measure: RateMeasure, slot: number, tokens: number): Promise<number> {
    const used = this.#used(slot) + tokens;
    const expected = this.#known.get(slot)?.revision ?? "absent";
    const { ttl } = measure;
    const revision = await this.#ask(
      measure,
      (signal) => this.#host.store.put(`${this.#place}${slot}`, String(used), { expected, ttl, signal }),
    );
    this.#known.set(slot, { used, revision, free: this.#host.runtime.clock.mono() + ttl });
    return tokens;
  }

  #room(measure: RateMeasure, slot: number): number {
    return Math.max(measure.capacity(slot) - this.#used(slot), 0);
  }

  #used(slot: number): number {
    return this.#known.get(slot)?.used ?? 0;
  }

  #ask<T>({ slack }: RateMeasure, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return askStore({ clock: this.#host.runtime.clock, limit: slack, signal: undefined }, ask);
  }
}

/** Whether others were faster. */
export function isConflict(thrown: unknown): boolean {
  return CatgaError.is(thrown) && thrown.code === "CONFLICT";
}

/** How much an entry says was taken; one that says nothing of the kind is all taken. */
function usedOf(value: Entry["value"]): number {
  return /^\d{1,15}$/.test(value) ? Number(value) : Infinity;
}
