import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";

/** Tells when a key may have become free. A watch that breaks off is begun again after a while. */
export class LeaseWatch {
  readonly #key: string;
  readonly #store: Store;
  readonly #runtime: Runtime;
  readonly #closed: AbortController = new AbortController();
  #free = false;
  #begun = false;
  #wake: (() => void) | undefined;

  constructor(key: string, store: Store, runtime: Runtime) {
    this.#key = key;
    this.#store = store;
    this.#runtime = runtime;
  }

  /** Waits until the key may be free, or so many ms, or until the signal aborts; whether it may be free. */
  async next(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#begun) {
      this.#begun = true;
      this.#runtime.background(this.#follow(ms));
    }
    if (!this.#free) {
      const over = new AbortController();
      const end = (): void => over.abort();
      this.#wake = end;
      if (signal.aborted) end();
      signal.addEventListener("abort", end, { once: true });
      await sleep(this.#runtime.clock, ms, over.signal);
      signal.removeEventListener("abort", end);
    }
    const free = this.#free;
    this.#free = false;
    return free;
  }

  close(): void {
    this.#closed.abort();
  }

  async #follow(pause: number): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await this.#read(signal);
      } catch {
        // Whoever waits looks for itself now and then.
      }
      await sleep(this.#runtime.clock, pause, signal);
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    let taken = false;
    for await (const change of this.#store.watch(this.#key, { signal })) {
      if (signal.aborted) return;
      if (change.type === "put" && change.entry.key === this.#key) taken = true;
      if (change.type === "ready" ? taken : change.type === "put" || change.key !== this.#key) continue;
      this.#free = true;
      this.#wake?.();
    }
  }
}
