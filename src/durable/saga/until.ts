import { CatgaError } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import { readRecord, type UntilMark } from "./saga_record.ts";

/** How often it is looked at where nobody says that it changed, in ms. */
const POLL = 10_000;
/** How long to wait before a second look at what should be over, in ms: twice as long each time. */
const DELAY = 20;

/** What {@linkcode Until} stands on. */
export interface UntilHost {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly patience: number;
  /** Calls back whenever what is kept under a key changes or goes; answers a function that calls it off. */
  watch(key: string, changed: () => void): () => void;
}

/** What is put down. */
export interface UntilSpec {
  readonly key: string;
  readonly mark: UntilMark;
  /** How long it stays, in ms. */
  readonly ttl: number | undefined;
  /** Also where it is already: an event that came is given up. */
  readonly anew: boolean;
}

/** Puts down what is waited for, so that the store's own time runs; an event may come from then on. */
export async function putUntil(
  { store, runtime, patience }: UntilHost,
  { key, mark, ttl, anew }: UntilSpec,
  signal: AbortSignal,
): Promise<void> {
  const expected = anew ? undefined : "absent" as const;
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      const value = JSON.stringify(mark);
      await askStore(
        { clock: runtime.clock, limit: patience, signal },
        (signal) => store.put(key, value, { expected, ttl, signal }),
      );
      return;
    } catch (thrown) {
      // It is there from an earlier life, perhaps with its event.
      if (CatgaError.is(thrown) && thrown.code === "CONFLICT") return;
      await sleep(runtime.clock, backoff(failures, 50, 2000, runtime.random.u32()), signal);
    }
  }
}

/** Looks after something that is waited for until it is over. */
export class Until {
  readonly key: string;
  /** When it should be over, by the monotonic clock; `Infinity` if nobody can tell. */
  readonly due: number;
  readonly #host: UntilHost;
  readonly #over: (event: UntilMark["event"]) => boolean;
  readonly #closed: AbortController = new AbortController();
  #wake: (() => void) | undefined;
  #changed = true;

  /**
   * @param ms how long it lasts from now; `undefined` if nobody can tell
   * @param over takes the event, or nothing when its time is over; whether it is
   */
  constructor(
    host: UntilHost,
    key: string,
    ms: number | undefined,
    over: (event: UntilMark["event"]) => boolean,
  ) {
    this.key = key;
    this.due = ms === undefined ? Infinity : host.runtime.clock.mono() + ms;
    this.#host = host;
    this.#over = over;
    const stop = host.watch(key, () => {
      this.#changed = true;
      this.#wake?.();
    });
    this.#closed.signal.addEventListener("abort", stop, { once: true });
    host.runtime.background(this.#follow());
  }

  close(): void {
    this.#closed.abort();
  }

  async #follow(): Promise<void> {
    const { clock } = this.#host.runtime;
    const { signal } = this.#closed;
    let looks = 0;
    while (!signal.aborted) {
      const left = this.due - clock.mono();
      if (this.#changed || left <= 0) {
        this.#changed = false;
        if (await this.#look(signal) || signal.aborted) return this.close();
        if (this.due - clock.mono() <= 0) looks++;
      }
      const wait = left > 0 ? Math.min(left, POLL) : Math.min(DELAY * 2 ** looks, POLL);
      if (!this.#changed) await this.#rest(wait, signal);
      if (wait === POLL) this.#changed = true;
    }
  }

  async #look(signal: AbortSignal): Promise<boolean> {
    const { store, runtime, patience } = this.#host;
    try {
      const entry = await askStore(
        { clock: runtime.clock, limit: patience, signal },
        (signal) => store.get(this.key, { signal }),
      );
      if (signal.aborted) return false;
      if (entry === undefined) return this.#over(undefined);
      const event = readRecord<UntilMark>(entry)?.event;
      return event !== undefined && this.#over(event);
    } catch {
      return false;
    }
  }

  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    this.#wake = wake;
    signal.addEventListener("abort", wake, { once: true });
    await sleep(this.#host.runtime.clock, ms, woken.signal);
    signal.removeEventListener("abort", wake);
    this.#wake = undefined;
  }
}
