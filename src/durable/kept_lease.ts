import { backoff } from "../internal/backoff.ts";
import { Ending } from "../internal/ending.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import { type Lease, takeLease } from "./lease.ts";

/** How long to wait after the store has failed, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 2000;

/** What {@linkcode KeptLease} stands on. */
export interface KeptLeaseHost {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly owner: string;
  /** How long a lease lasts after its holder was last heard of, in ms. */
  readonly ttl: number;
  /** Where it is kept, asked each time anew. */
  key(): string;
  /** It is held now. */
  gained(lease: Lease): void;
  /** It is held no more. */
  lost(): void;
  /** The store refuses to be asked, or the lease could not be taken. */
  failed(cause: unknown): void;
}

/** A lease that is waited for, held, and waited for again each time it is lost, until this is closed. */
export class KeptLease {
  readonly #host: KeptLeaseHost;
  readonly #closed: Ending = new Ending();
  readonly #kept: Promise<void>;
  #lease: Lease | undefined;
  #pause = 0;

  constructor(host: KeptLeaseHost) {
    this.#host = host;
    this.#kept = this.#keep();
    host.runtime.background(this.#kept);
  }

  /** The lease, while it is held by this node's clock. */
  get held(): Lease | undefined {
    return this.#lease?.held() === true ? this.#lease : undefined;
  }

  /** Lets go of it, and asks for it again after so many ms. Settles when the store has taken note. */
  async letGo(pause: number): Promise<void> {
    this.#pause = pause;
    await this.#lease?.release();
  }

  /** Lets go of it for good. Never rejects. */
  async close(): Promise<void> {
    this.#closed.end();
    await this.#lease?.release();
    await this.#kept;
  }

  async #keep(): Promise<void> {
    const { store, runtime, owner, ttl } = this.#host;
    const { clock, random } = runtime;
    const closed = this.#closed;
    for (let failures = 0; !closed.aborted;) {
      try {
        const lease = await takeLease(this.#host.key(), { store, runtime, owner, ttl }, closed);
        failures = 0;
        this.#pause = 0;
        this.#lease = lease;
        // It may have been closed while the answer was on its way.
        if (closed.aborted) return await lease.release();
        await this.#take(lease);
        await lease.over.ended();
        this.#host.lost();
        await sleep(clock, this.#pause, closed);
      } catch (thrown) {
        if (closed.aborted) return;
        this.#host.failed(thrown);
        await sleep(clock, backoff(++failures, DELAY, LONGEST, random.u32()), closed);
      }
    }
  }

  /** Tells the host of the lease; one that it fails to take is not kept by nobody. */
  async #take(lease: Lease): Promise<void> {
    try {
      this.#host.gained(lease);
    } catch (thrown) {
      await lease.release();
      throw thrown;
    }
  }
}
