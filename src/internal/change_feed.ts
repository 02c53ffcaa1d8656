/** What a feed hands on. */
type FeedChange<E> =
  | { readonly type: "put"; readonly entry: E }
  | { readonly type: "delete"; readonly key: string; readonly revision: number }
  | { readonly type: "ready" };

const READY: unique symbol = Symbol("ready");

/**
 * Changes on their way to one reader: the state, `ready`, then what changed, in order. What is not read yet is
 * replaced by what is newer for the same key, and an entry that came and went unread is left out, so no more waits
 * than the reader knows and there is.
 */
export class ChangeFeed<E extends { readonly key: string }> {
  readonly #pending: Map<string | symbol, FeedChange<E>> = new Map();
  /** The keys that the reader believes to be there. */
  readonly #told: Set<string> = new Set();
  #wake: (() => void) | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  /** What is there at the beginning. */
  begin(entries: readonly E[]): void {
    for (const entry of entries) this.#pending.set(entry.key, { type: "put", entry });
    this.#pending.set(READY, { type: "ready" });
    this.#wake?.();
  }

  offer(change: Exclude<FeedChange<E>, { readonly type: "ready" }>): void {
    const key = change.type === "put" ? change.entry.key : change.key;
    // What was there at the beginning keeps its place before `ready`.
    if (!this.#pending.has(READY) || change.type === "delete") this.#pending.delete(key);
    if (change.type === "put" || this.#told.has(key)) this.#pending.set(key, change);
    this.#wake?.();
  }

  /** The reader's loop throws this, whatever is still to be read. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  /** The reader's loop ends, whatever is still to be read. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** For one reader. */
  async *read(): AsyncGenerator<FeedChange<E>, void, undefined> {
    for (;;) {
      if (this.#ended) return;
      if (this.#failure !== undefined) throw this.#failure.error;
      const change = this.#take();
      if (change !== undefined) yield change;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #take(): FeedChange<E> | undefined {
    for (const [key, change] of this.#pending) {
      this.#pending.delete(key);
      if (change.type === "put") this.#told.add(change.entry.key);
      if (change.type === "delete") this.#told.delete(change.key);
      return change;
    }
    return undefined;
  }
}
