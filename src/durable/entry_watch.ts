import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import { follow } from "./follow.ts";

/** How long to wait before the first look, in ms: twice as long each time. */
const DELAY = 50;

/** Tells when an entry is worth another look: soon after it has changed, and now and then in any case. */
export class EntryWatch {
  readonly #runtime: Runtime;
  readonly #longest: number;
  readonly #closed: AbortController = new AbortController();
  #newest = 0;
  #seen = 0;
  #looks = 0;
  #wake: (() => void) | undefined;

  /** @param longest how long to wait for word of a change before a look is taken, in ms */
  constructor(runtime: Runtime, longest: number) {
    this.#runtime = runtime;
    this.#longest = longest;
  }

  /** Lets the store say when it changes. */
  begin(key: string, store: Store): void {
    const { signal } = this.#closed;
    const take: Parameters<typeof follow>[1]["take"] = (changed, entry) => {
      if (changed === key) this.#heard(entry?.revision ?? Infinity);
    };
    this.#runtime.background(follow(key, { store, runtime: this.#runtime, signal, take }));
  }

  /** Waits until there may be something newer than a revision, or it is time to look, or the signal aborts. */
  async next(seen: number, signal: AbortSignal): Promise<void> {
    this.#seen = seen;
    if (this.#newest <= seen) {
      const { clock, random } = this.#runtime;
      const over = new AbortController();
      const end = (): void => over.abort();
      this.#wake = end;
      if (signal.aborted) end();
      signal.addEventListener("abort", end, { once: true });
      // Half of it is certain, so that nobody asks at once again.
      const half = Math.min(DELAY * 2 ** Math.min(this.#looks++, 30), this.#longest) / 2;
      await sleep(clock, half + backoff(1, half, half, random.u32()), over.signal);
      signal.removeEventListener("abort", end);
      this.#wake = undefined;
    }
    // That it is gone is told once.
    this.#newest = 0;
  }

  close(): void {
    this.#closed.abort();
  }

  #heard(revision: number): void {
    this.#newest = Math.max(this.#newest, revision);
    if (this.#newest > this.#seen) this.#wake?.();
  }
}
