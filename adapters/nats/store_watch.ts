import { CatgaError, systemFault } from "../../src/result.ts";
import type { Change, Entry } from "../../src/ports/store.ts";
import { ChangeFeed } from "../../src/internal/change_feed.ts";
import { byCodePoint } from "../../src/internal/by_code_point.ts";
import type { StoreEntries } from "./store_entries.ts";
import { StoreExpiry } from "./store_expiry.ts";
import { StoreFeeds } from "./store_feeds.ts";
import { goneOf, type Kept, keyOf, textOf } from "./store_message.ts";

type Told = Exclude<Change, { readonly type: "ready" }>;

/** All watches of one connection. */
export class StoreWatches {
  readonly #entries: StoreEntries;
  readonly #most: number;
  readonly #feeds: StoreFeeds;
  readonly #expiry: StoreExpiry;
  #open = 0;

  constructor(entries: StoreEntries, most: number) {
    this.#entries = entries;
    this.#most = most;
    this.#feeds = new StoreFeeds(entries.stream);
    entries.stream.lost = () => this.#feeds.breakOff("the stream of the store is gone");
    this.#expiry = new StoreExpiry({
      runtime: entries.link.runtime,
      rest: ({ stamp, mark }) => entries.clock.rest(stamp, mark?.ttl ?? 0),
      expire: (kept) => this.#expire(kept),
    });
  }

  async *watch(prefix: string, signal: AbortSignal | undefined): AsyncGenerator<Change, void, undefined> {
    if (signal?.aborted) return;
    if (this.#open >= this.#most) {
      const message = `Cannot watch "${prefix}": ${this.#most} watch already, as many as may`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    this.#open++;
    const feed = new ChangeFeed<Entry>();
    const end = (): void => feed.end();
    signal?.addEventListener("abort", end, { once: true });
    let stop = (): void => {};
    try {
      stop = await this.#begin(prefix, feed, signal);
      yield* feed.read();
    } catch (thrown) {
      if (!signal?.aborted) throw thrown;
    } finally {
      stop();
      this.#open--;
      signal?.removeEventListener("abort", end);
    }
  }

  close(): void {
    this.#expiry.close();
    this.#feeds.close();
  }

  /** Takes what is there, then hands on what comes. */
  async #begin(
    prefix: string,
    feed: ChangeFeed<Entry>,
    signal: AbortSignal | undefined,
  ): Promise<() => void> {
    const { names } = this.#entries;
    const told = new Map<string, Told>();
    let begun = false;
    const take = (message: Kept): void => {
      const key = keyOf(message, names);
      if (key === undefined || !key.startsWith(prefix)) return;
      const change = changeOf(key, message);
      this.#expiry.note(message);
      if (begun) return feed.offer(change);
      if (revisionOf(told.get(key)) < revisionOf(change)) told.set(key, change);
    };
    const fail = (error: CatgaError): void => feed.fail(error);
    const stop = await this.#feeds.listen(names.filter(prefix), { take, fail }, signal);
    const entries = [...told.values()].flatMap((change) => change.type === "put" ? [change.entry] : []);
    feed.begin(entries.toSorted((a, b) => byCodePoint(a.key, b.key)));
    begun = true;
    return stop;
  }

  /** Writes that an entry has gone, if it is still there and its time is over. */
  async #expire(kept: Kept): Promise<boolean> {
    if (await this.#entries.live(kept)) return false;
    await this.#entries.write(kept.subject, goneOf(kept), "", kept.sequence, undefined);
    return true;
  }
}

function changeOf(key: string, message: Kept): Told {
  const { sequence: revision } = message;
  const value = message.mark?.kind === "put" ? textOf(message) : undefined;
  return value === undefined
    ? { type: "delete", key, revision }
    : { type: "put", entry: { key, value, revision } };
}

function revisionOf(change: Told | undefined): number {
  if (change === undefined) return 0;
  return change.type === "put" ? change.entry.revision : change.revision;
}
