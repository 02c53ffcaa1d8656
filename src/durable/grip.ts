import { CatgaError, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { Delivery } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";

/** How long to wait between two tries, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 2000;
/** How long an answer may take at least, in ms, before it counts as lost. */
const PATIENCE = 3000;

/** Keeps a delivery with this process while it is worked on, by letting its lease last. */
export class Grip {
  readonly #delivery: Delivery;
  readonly #lease: number;
  readonly #runtime: Runtime;
  readonly #over: AbortController = new AbortController();
  /** Made when somebody looks: few do, and to abort costs more than all else. */
  #closing: AbortController | undefined;
  #isClosed = false;
  #stop: () => void;
  /** When the lease is over, by the monotonic clock, as far as this process can know. */
  #until: number;
  #lettingGo = false;
  /** What is being asked for. */
  #asked: { readonly since: number; readonly giveUp: () => void } | undefined;

  /** @param since when it was asked for, by the monotonic clock */
  constructor(delivery: Delivery, lease: number, runtime: Runtime, since: number) {
    this.#delivery = delivery;
    this.#lease = lease;
    this.#runtime = runtime;
    this.#until = since + lease;
    this.#stop = this.#later();
  }

  /** Aborts when the delivery is lost or has to be given back. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Aborts when this process does nothing more about it. */
  get closed(): AbortSignal {
    this.#closing ??= new AbortController();
    if (this.#isClosed) this.#closing.abort();
    return this.#closing.signal;
  }

  /** Whether it has to be given back. */
  get lettingGo(): boolean {
    return this.#lettingGo;
  }

  /** Whether it was taken away. */
  get lost(): boolean {
    return this.#over.signal.aborted && !this.#lettingGo;
  }

  /** Asks whoever works on it to stop, so that it can be given back. */
  letGo(): void {
    this.#lettingGo = true;
    this.#end("CANCELLED", "this process stops");
  }

  /** Whether it is still this process's, as far as that can know. */
  get held(): boolean {
    return this.#runtime.clock.mono() < this.#until;
  }

  /** Makes sure that it is still this process's, also after that has stood still; rejects when it may be another's. */
  async hold(): Promise<void> {
    const began = this.#runtime.clock.mono();
    await this.#ask(() => this.#delivery.extend(this.#lease));
    this.#until = began + this.#lease;
  }

  /** Repeats something until it goes well; rejects when it cannot, when that is enough, or when the lease is over. */
  async persist<T>(work: () => Promise<T>, enough?: (failures: number) => boolean): Promise<T> {
    const { clock, random } = this.#runtime;
    for (let failures = 1;; failures++) {
      try {
        return await this.#ask(work);
      } catch (thrown) {
        if (!mayHeal(thrown) || enough?.(failures) || this.#isClosed) throw thrown;
        const delay = backoff(failures, DELAY, LONGEST, random.u32());
        if (clock.mono() + delay >= this.#until) throw thrown;
        await sleep(clock, delay, this.closed);
      }
    }
  }

  /** It is done with, or left to whoever gets it once its lease is over. */
  close(): void {
    this.#stop();
    this.#isClosed = true;
    this.#closing?.abort();
    this.#asked?.giveUp();
  }

  /** Waits for an answer, but not for ever: whether it came in time is looked at when the lease is extended. */
  #ask<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        reject(new CatgaError(systemFault("TRANSPORT", `Nobody said what came of "${this.#delivery.id}"`)));
      };
      const asked = this.#asked = { since: this.#runtime.clock.mono(), giveUp };
      const answered = (): void => {
        if (this.#asked === asked) this.#asked = undefined;
      };
      work().then((value) => {
        answered();
        resolve(value);
      }, (thrown: unknown) => {
        answered();
        reject(thrown);
      });
    });
  }

  #later(): () => void {
    return this.#runtime.clock.timer(this.#lease / 3, () => void this.#extend());
  }

  async #extend(): Promise<void> {
    const { clock } = this.#runtime;
    const began = clock.mono();
    if (began >= this.#until) return this.#lose();
    this.#stop = this.#later();
    if (this.#asked !== undefined && began - this.#asked.since >= PATIENCE) this.#asked.giveUp();
    try {
      await this.#delivery.extend(this.#lease);
      this.#until = Math.max(this.#until, began + this.#lease);
    } catch (thrown) {
      if (!mayHeal(thrown)) this.#lose();
    }
  }

  #lose(): void {
    this.#stop();
    this.#until = -Infinity;
    this.#asked?.giveUp();
    this.#end("CONFLICT", "it is no longer this process's");
  }

  #end(code: "CANCELLED" | "CONFLICT", why: string): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(new CatgaError(systemFault(code, `Stop to work on "${this.#delivery.id}": ${why}`)));
  }
}

function mayHeal(thrown: unknown): boolean {
  return CatgaError.is(thrown) && thrown.retryable;
}
