import { Ending, type EndSignal } from "../internal/ending.ts";
import { sleep } from "../internal/sleep.ts";
import type { Looks, Store } from "../ports/store.ts";
import type { LeaseClaim } from "./lease_claim.ts";
import { type LeaseHolder, leaseHolder } from "./lease_record.ts";

/** How many times that a lease lasts, or that a watch may be late, one that looks is trusted without a word. */
const TRUSTED = 5;

/**
 * Tells when a lease may have become free. A watch that breaks off is begun again after a while. One that is pushed is
 * told of each renewal, so it is looked after when it is silent for too long; one that looks at a price is not, as it
 * breaks off by itself when nobody answers.
 */
export class LeaseWatch {
  readonly #claim: LeaseClaim;
  readonly #store: Store;
  readonly #looks: Looks | undefined;
  readonly #closed: Ending = new Ending();
  #watch: AbortController | undefined;
  #isTaken = false;
  #holder: LeaseHolder | undefined;
  /** When to look, in ms of the monotonic clock. */
  #due = 0;
  #isFree = false;
  #wake: () => void = () => {};

  constructor(claim: LeaseClaim, store: Store) {
    this.#claim = claim;
    this.#store = store;
    this.#looks = store.looks;
  }

  /** Who had the lease, as far as this was told. */
  get holder(): LeaseHolder | undefined {
    return this.#holder;
  }

  /** Waits until the lease may be free, or it is time to look, or the signal aborts; whether it may be free. */
  async next(signal: EndSignal): Promise<boolean> {
    const { runtime } = this.#claim;
    const { clock } = runtime;
    if (this.#watch === undefined) runtime.background(this.#follow());
    this.#wait();
    while (!this.#isFree && !signal.aborted && clock.mono() < this.#due) {
      const over = new Ending();
      this.#wake = () => over.end();
      const leave = over.follow(signal);
      await sleep(clock, this.#due - clock.mono(), over);
      leave();
    }
    const isFree = this.#isFree;
    this.#isFree = false;
    return isFree;
  }

  /**
   * Somebody was faster. Where changes are looked for, both that it was taken and that it was given back may lie
   * between two looks and stay untold: so it is asked anew what there is.
   */
  missed(): void {
    if (this.#looks !== undefined) this.#watch?.abort();
  }

  close(): void {
    this.#closed.end();
    this.#watch?.abort();
  }

  async #follow(): Promise<void> {
    const { runtime: { clock }, patience } = this.#claim;
    const pause = Math.max(patience, this.#looks?.soon ?? 0);
    while (!this.#closed.aborted) {
      const watch = this.#watch = new AbortController();
      try {
        await this.#read(watch.signal);
      } catch {
        // Whoever waits looks for itself now and then.
      }
      this.#unknown();
      if (!watch.signal.aborted) await sleep(clock, pause, this.#closed);
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { key } = this.#claim;
    let isThere = false;
    for await (const change of this.#store.watch(key, { signal })) {
      if (signal.aborted) return;
      if (change.type === "put") {
        if (change.entry.key !== key) continue;
        isThere = true;
        // What it wrote long ago may arrive only now.
        if (this.#claim.isMine(change.entry)) this.#look();
        else this.#taken(leaseHolder(change.entry));
      } else if (change.type === "ready" ? !isThere : change.key === key) this.#free();
    }
  }

  #taken(holder: LeaseHolder | undefined): void {
    this.#holder = holder;
    this.#isTaken = true;
    this.#isFree = false;
    this.#wait();
  }

  #free(): void {
    this.#isTaken = false;
    this.#isFree = true;
    this.#wake();
  }

  /** Nothing more will be told of the holder, so it is looked after earlier. */
  #unknown(): void {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    this.#wait();
  }

  #look(): void {
    this.#due = -Infinity;
    this.#wake();
  }

  /** Puts off the next look: far, where the watch knows of the holder and so will tell when it is gone. */
  #wait(): void {
    const { runtime: { clock, random }, ttl, patience } = this.#claim;
    const chance = random.u32() / 2 ** 32;
    const known = this.#looks === undefined ? ttl : Math.max(ttl, this.#looks.late) * TRUSTED;
    const ms = this.#isTaken ? known * (0.75 + chance / 4) : patience * (0.75 + chance / 2);
    this.#due = clock.mono() + ms;
    this.#wake();
  }
}
