import type { ClusterEvent, ClusterView } from "./types.ts";

/** How many events a reader that does not read is kept. */
const EVENTS = 1024;

/** Hands views to whoever watches. A slow reader gets the newest view with all that happened in between. */
export class Watchers {
  readonly #watchers: Set<Watcher> = new Set();

  /** Whether anybody watches. */
  get any(): boolean {
    return this.#watchers.size > 0;
  }

  publish(view: ClusterView): void {
    for (const watcher of this.#watchers) watcher.offer(view);
  }

  /** Ends all watches. */
  close(): void {
    for (const watcher of this.#watchers) watcher.end();
  }

  async *watch(
    first: ClusterView,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ClusterView, void, undefined> {
    const watcher = new Watcher(first);
    const end = (): void => watcher.end();
    this.#watchers.add(watcher);
    signal?.addEventListener("abort", end, { once: true });
    try {
      while (signal?.aborted !== true) {
        const view = await watcher.next();
        if (view === undefined) return;
        yield view;
      }
    } finally {
      this.#watchers.delete(watcher);
      signal?.removeEventListener("abort", end);
    }
  }
}

class Watcher {
  #view: ClusterView | undefined;
  #events: readonly ClusterEvent[];
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(first: ClusterView) {
    this.#view = first;
    this.#events = first.events;
  }

  offer(view: ClusterView): void {
    this.#events = [...this.#events, ...view.events].slice(-EVENTS);
    this.#view = view;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async next(): Promise<ClusterView | undefined> {
    while (this.#view === undefined && !this.#ended) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const view = this.#view;
    if (view === undefined) return undefined;
    const events = this.#events;
    this.#view = undefined;
    this.#events = [];
    return { ...view, events };
  }
}
