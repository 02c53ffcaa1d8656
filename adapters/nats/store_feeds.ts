import { type FeedListener, StoreFeed } from "./store_feed.ts";
import type { StoreStream } from "./store_stream.ts";

/** How long a feed goes on when nobody listens any more, in ms: who waits for leases begins and ends often. */
const LINGER = 2000;

interface Open {
  readonly feed: StoreFeed;
  stop: (() => void) | undefined;
}

/** The feeds of one connection, one for all who listen to the same subjects. */
export class StoreFeeds {
  readonly #port: StoreStream;
  readonly #open: Map<string, Open> = new Map();

  constructor(port: StoreStream) {
    this.#port = port;
  }

  /** Tells all that is there now, then what comes, until what it answers is called. */
  async listen(filter: string, listener: FeedListener, signal: AbortSignal | undefined): Promise<() => void> {
    const open = this.#open.get(filter) ?? this.#begin(filter);
    const { feed } = open;
    open.stop?.();
    open.stop = undefined;
    const leave = (): void => {
      feed.remove(listener);
      if (feed.size === 0 && this.#open.get(filter) === open) this.#linger(filter, open);
    };
    try {
      await feed.add(listener, signal);
      return leave;
    } catch (thrown) {
      leave();
      throw thrown;
    }
  }

  /** Breaks those off that have begun. */
  breakOff(why: string): void {
    for (const { feed } of [...this.#open.values()]) if (feed.begun) feed.breakOff(why);
  }

  close(): void {
    for (const { feed, stop } of [...this.#open.values()]) {
      stop?.();
      feed.breakOff("the store was closed");
    }
  }

  #begin(filter: string): Open {
    const ended = (): void => {
      open.stop?.();
      if (this.#open.get(filter) === open) this.#open.delete(filter);
    };
    const open: Open = { feed: new StoreFeed(this.#port, filter, ended), stop: undefined };
    this.#open.set(filter, open);
    return open;
  }

  #linger(filter: string, open: Open): void {
    open.stop?.();
    open.stop = this.#port.link.runtime.clock.timer(LINGER, () => {
      if (open.feed.size > 0) return;
      if (this.#open.get(filter) === open) this.#open.delete(filter);
      open.feed.close();
    });
  }
}
