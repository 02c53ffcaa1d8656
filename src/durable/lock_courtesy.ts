import type { EndSignal } from "../internal/ending.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Entry, Looks, Store } from "../ports/store.ts";
import { askStore } from "./ask_store.ts";

/** What {@linkcode LockCourtesy} stands on. */
export interface LockCourtesyHost {
  readonly store: Store;
  readonly runtime: Runtime;
  /** How the store's watches look. */
  readonly looks: Looks;
  /** How long the store may take to answer, in ms. */
  readonly patience: number;
}

/** The courtesy that a store needs; `undefined` where whoever waits is told when a lock is free. */
export function courtesyOver(
  { store, runtime }: Pick<LockCourtesyHost, "store" | "runtime">,
  patience: number,
): LockCourtesy | undefined {
  const looks = store.looks;
  return looks && new LockCourtesy({ store, runtime, looks, patience });
}

/** What the keys of marks begin with. */
const MARKS = "waits/";
/** How many marks are read, and of how many locks it is known how they were used. */
const READ = 16;
const LOCKS = 1024;
/** How much longer to stay away than others may take to look, and how long their requests may take, in ms. */
const SPARE = 1.5;
const LAG = 1000;
/** How often a mark is written again at most, in ms. */
const SELDOM = 5000;

/** How long this process stayed away for a mark the last time, in ms. */
interface Given {
  readonly revision: number;
  readonly pause: number;
}

/** How this process has used a lock without a pause. */
interface Streak {
  /** Since when, in ms of the monotonic clock; later than now while it stays away. */
  since: number;
  /** When it gave the lock back. */
  last: number;
  given: ReadonlyMap<string, Given>;
}

/**
 * Lets other processes have a lock too, where they cannot hear that it is free but only look from time to time: between
 * two looks it may have been given back and taken again. Whoever waits for longer than a look leaves a mark. Who has
 * had the lock for as long reads the marks together with giving it back, and stays away for longer than a look takes;
 * twice as long each time for a mark that is still there, until no look can take longer. Then a mark counts again only
 * once it was written again, so one of a process that has ended does not.
 */
export class LockCourtesy {
  readonly #host: LockCourtesyHost;
  readonly #streaks: Map<string, Streak> = new Map();

  constructor(host: LockCourtesyHost) {
    this.#host = host;
  }

  /** Stays away from a lock while others should have it, so many ms at most. */
  async stayAway(key: string, most: number, signal: EndSignal): Promise<void> {
    const { clock } = this.#host.runtime;
    const ms = Math.min((this.#streaks.get(key)?.since ?? 0) - clock.mono(), most);
    if (ms > 0) await sleep(clock, ms, signal);
  }

  /** Says that this process waits for a lock, once it takes longer than a look; answers what takes that back. */
  wait(key: string): () => void {
    const { store, runtime, looks: { soon, late } } = this.#host;
    const { clock, random } = runtime;
    const again = Math.max(late, SELDOM);
    let mark = "";
    let said: Promise<unknown> | undefined;
    // It only makes it likely that others make room, so a failure does no harm.
    const say = (): void => {
      mark ||= `${MARKS}${key}/${random.u32().toString(36)}-${random.u32().toString(36)}`;
      said = this.#ask((signal) => store.put(mark, "", { ttl: 3 * again, signal })).catch(() => {});
      runtime.background(said);
      stop = clock.timer(again, say);
    };
    let stop = clock.timer(soon, say);
    return () => {
      stop();
      if (said === undefined) return;
      const unsaid = said.then(() => this.#ask((signal) => store.delete(mark, { signal })));
      runtime.background(unsaid.catch(() => {}));
    };
  }

  /** This process has got a lock. */
  got(key: string): void {
    const now = this.#host.runtime.clock.mono();
    const before = this.#streaks.get(key);
    const goesOn = before !== undefined && now - before.last < this.#host.looks.soon;
    this.#streaks.delete(key);
    this.#streaks.set(key, {
      since: goesOn ? Math.min(before.since, now) : now,
      last: now,
      given: before?.given ?? new Map(),
    });
    if (this.#streaks.size > LOCKS) this.#streaks.delete(this.#streaks.keys().next().value!);
  }

  /** This process gives a lock back. Resolves once it knows whether to stay away; never rejects. */
  async gaveBack(key: string): Promise<void> {
    const { store, runtime: { clock }, looks: { soon, late } } = this.#host;
    const streak = this.#streaks.get(key);
    if (streak === undefined) return;
    streak.last = clock.mono();
    if (streak.last - streak.since < soon) return;
    const prefix = `${MARKS}${key}/`;
    const marks: readonly Entry[] = await this.#ask((signal) => store.list(prefix, { limit: READ, signal }))
      .catch(() => []);
    const given = new Map<string, Given>();
    let longest = 0;
    for (const { key: mark, revision } of marks) {
      const before = streak.given.get(mark);
      const pause = nextPause(before, revision, soon, late + LAG);
      longest = Math.max(longest, pause);
      given.set(mark, pause === 0 ? before! : { revision, pause });
    }
    streak.given = given;
    streak.since = clock.mono() + longest * SPARE;
  }

  #ask<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime: { clock }, patience } = this.#host;
    return askStore({ clock, limit: patience, signal: undefined }, ask);
  }
}

/** How long to stay away for a mark, in ms. */
function nextPause(before: Given | undefined, revision: number, least: number, most: number): number {
  if (before === undefined) return least;
  if (before.pause < most) return Math.min(2 * before.pause, most);
  return revision === before.revision ? 0 : most;
}
