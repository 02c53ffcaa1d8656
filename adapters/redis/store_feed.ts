import { ChangeFeed } from "../../src/internal/change_feed.ts";
import type { Entry } from "../../src/ports/store.ts";
import { faultOf } from "../../src/result.ts";
import { Pace, type PaceOptions } from "./budget_pace.ts";
import type { Commander } from "./commander.ts";
import { transport } from "./faults.ts";
import { type Listed, listingOf, newsOf, type Told } from "./store_answers.ts";
import { changesScript, listScript } from "./store_scripts.ts";

/** How many looks in a row may fail before watches break off. */
const FAILURES = 3;
/** How many entries are read at a time when a watch begins. */
const PAGE = 1000;
/** How many prefixes are asked for; more are all. */
const PREFIXES = 64;
/** How long a value may be that is known again, in characters. */
const SHORT = 512;

/** One watch. */
export interface StoreWatch {
  readonly prefix: string;
  readonly feed: ChangeFeed<Entry>;
  /** The revision until which it was told; `undefined` while it still reads what is there. */
  till: number | undefined;
}

/** Something that is over by itself. */
interface Timed {
  /** When, by the monotonic clock. */
  at: number;
  readonly value: string | undefined;
}

/** Looks for what has changed, for all watches of a store in this process. While nobody watches it asks for nothing. */
export class StoreFeed {
  readonly #commander: Commander;
  readonly #names: readonly string[];
  readonly #options: PaceOptions;
  readonly #watches: Set<StoreWatch> = new Set();
  /** What was told of for a time. */
  readonly #over: Map<string, Timed> = new Map();
  #pace: Pace;
  #run: AbortController | undefined;

  constructor(commander: Commander, names: readonly string[], options: PaceOptions) {
    this.#commander = commander;
    this.#names = names;
    this.#options = options;
    this.#pace = new Pace(commander.runtime, options);
  }

  get size(): number {
    return this.#watches.size;
  }

  /** A watch that hears of changes from now on. */
  open(prefix: string): StoreWatch {
    const watch: StoreWatch = { prefix, feed: new ChangeFeed(), till: undefined };
    this.#watches.add(watch);
    return watch;
  }

  /** Tells a watch what is there, and begins to look for changes. */
  async begin(watch: StoreWatch, signal: AbortSignal | undefined): Promise<void> {
    const { prefix } = watch;
    const what = `watch "${prefix}"`;
    const found: Listed[] = [];
    let since: number | undefined;
    for (let from = `[${prefix}`;;) {
      const args = [from, prefix, PAGE];
      const page = listingOf(
        what,
        await this.#commander.run(listScript, this.#names, args, { signal, what }),
      );
      since ??= page.last;
      found.push(...page.entries);
      if (!page.more && page.entries.length < PAGE) break;
      from = `(${page.entries.at(-1)!.key}`;
    }
    if (!this.#watches.has(watch)) return;
    watch.till = since;
    watch.feed.begin(found.map(({ key, value, revision }) => ({ key, value, revision })));
    for (const { key, value, left } of found) this.#time(key, left, value);
    if (this.#run !== undefined) return this.#pace.nudge();
    this.#run = new AbortController();
    void this.#look(this.#run.signal);
  }

  close(watch: StoreWatch): void {
    if (!this.#watches.delete(watch) || this.#watches.size > 0) return;
    this.#run?.abort();
    this.#run = undefined;
    this.#over.clear();
    this.#pace = new Pace(this.#commander.runtime, this.#options);
  }

  breakOff(why: string): void {
    for (const watch of [...this.#watches]) {
      watch.feed.fail(transport(`go on to watch "${watch.prefix}"`, why));
      this.close(watch);
    }
  }

  /**
   * Tells of a write of this process: at once where it came right after what a watch knows. A renewal of what was told
   * is no reason to look.
   */
  wrote(told: Told, before: number): void {
    const renews = this.#renews(told);
    let behind = false;
    for (const watch of this.#watches) {
      const known = watch.till !== undefined && watch.till === before;
      if (known) this.#tell(watch, [told], revisionOf(told));
      behind ||= !known && keyOf(told).startsWith(watch.prefix);
    }
    if (renews) this.#timeOf(told);
    if (behind && !renews) this.#pace.wake();
    else this.#pace.nudge();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const pace = this.#pace;
    for (let more = false; !signal.aborted;) {
      if (!more) await pace.rest(signal, () => this.#due());
      if (signal.aborted) return;
      try {
        more = await this.#ask(pace, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        more = false;
        pace.failed(thrown);
        if (pace.failures >= FAILURES) return this.breakOff(faultOf(thrown).message);
      }
    }
  }

  /** Asks what has changed; whether there is more. */
  async #ask(pace: Pace, signal: AbortSignal): Promise<boolean> {
    const what = "look for changes";
    const asked = [...this.#watches].filter(({ till }) => till !== undefined);
    if (asked.length === 0) return false;
    const prefixes = [...new Set(asked.map(({ prefix }) => prefix))];
    const wanted = prefixes.length > PREFIXES ? [""] : prefixes;
    const args = [Math.min(...asked.map(({ till }) => till!)), ...wanted];
    const news = newsOf(what, await this.#commander.run(changesScript, this.#names, args, { signal, what }));
    if (signal.aborted) return false;
    if (news.type !== "known") {
      this.breakOff("Redis no longer knows what has changed: it has lost data, or there was too much");
      return false;
    }
    pace.looked(news.changes.some((told) => !this.#renews(told)));
    for (const watch of asked) this.#tell(watch, news.changes, news.till);
    this.#postpone();
    return news.more;
  }

  #tell(watch: StoreWatch, changes: readonly Told[], till: number): void {
    const known = watch.till ?? till;
    for (const told of changes) {
      if (revisionOf(told) <= known || !keyOf(told).startsWith(watch.prefix)) continue;
      this.#timeOf(told);
      watch.feed.offer(told.change);
    }
    watch.till = Math.max(known, till);
  }

  /** Whether a change says only that something goes on for a time. */
  #renews({ change, left }: Told): boolean {
    if (change.type === "delete" || left === undefined) return false;
    const { key, value } = change.entry;
    const known = this.#over.get(key);
    return known?.value === value && this.#commander.runtime.clock.mono() < known.at;
  }

  #timeOf({ change, left }: Told): void {
    if (change.type === "put") this.#time(change.entry.key, left, change.entry.value);
    else this.#over.delete(change.key);
  }

  #time(key: string, left: number | undefined, value: string): void {
    if (left === undefined) return void this.#over.delete(key);
    const at = this.#commander.runtime.clock.mono() + left + 1;
    this.#over.set(key, { at, value: value.length <= SHORT ? value : undefined });
  }

  /** What should be over and is not told as gone is looked for a little later, if anybody watches it. */
  #postpone(): void {
    const now = this.#commander.runtime.clock.mono();
    for (const [key, timed] of this.#over) {
      if (timed.at > now) continue;
      const watched = [...this.#watches].some(({ prefix }) => key.startsWith(prefix));
      if (watched) timed.at = now + this.#options.eager;
      else this.#over.delete(key);
    }
  }

  /** In how many ms the time of something is over. */
  #due(): number {
    let next = Infinity;
    for (const { at } of this.#over.values()) if (at < next) next = at;
    return next - this.#commander.runtime.clock.mono();
  }
}

function keyOf({ change }: Told): string {
  return change.type === "put" ? change.entry.key : change.key;
}

function revisionOf({ change }: Told): number {
  return change.type === "put" ? change.entry.revision : change.revision;
}
