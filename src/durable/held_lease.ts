import { CatgaError, faultOf, type SystemCode, systemFault } from "../result.ts";
import { Ending } from "../internal/ending.ts";
import type { Lease } from "./lease.ts";
import type { Grant, LeaseClaim } from "./lease_claim.ts";
import { leaseHolder } from "./lease_record.ts";

/** How much earlier the signal is due than the lease is over, since timers run late: a part of its time. */
const LATENESS = 0.01;

/** A lease that was acquired, and what keeps it. */
export class HeldLease implements Lease {
  readonly key: string;
  readonly owner: string;
  readonly token: number;
  /** Ends with it, for a `CatgaError`. */
  readonly over: Ending = new Ending();
  readonly #claim: LeaseClaim;
  #grant: Grant;
  #stop: () => void = () => {};
  #released: Promise<void> | undefined;

  constructor(claim: LeaseClaim, grant: Grant) {
    this.key = claim.key;
    this.owner = claim.owner;
    this.token = grant.token;
    this.#claim = claim;
    this.#grant = grant;
    this.#rest();
    // Whoever freezes a process must not do so while it is to be renewed.
    claim.runtime.background(this.over.ended());
  }

  get signal(): AbortSignal {
    this.#look();
    return this.over.signal;
  }

  held(): boolean {
    return !this.over.aborted && this.#claim.runtime.clock.mono() < this.#grant.until;
  }

  assertHeld(): void {
    this.#look();
    if (this.over.aborted) throw this.over.reason;
  }

  release(): Promise<void> {
    if (this.#released !== undefined) return this.#released;
    if (this.over.aborted) return this.#released = Promise.resolve();
    this.#end("CANCELLED", () => `The lease "${this.key}" was released by "${this.owner}"`);
    return this.#released = this.#claim.remove(this.#grant.revision);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Waits until a third of its time is over, then renews it. */
  #rest(): void {
    const { ttl, runtime } = this.#claim;
    this.#wake(this.#grant.since + ttl / 3, () => {
      const end = this.#grant.until - LATENESS * ttl;
      if (runtime.clock.mono() >= end) return this.#expire();
      this.#wake(end, () => this.#expire());
      runtime.background(this.#renew());
    });
  }

  /** Sets the only timer it has. */
  #wake(due: number, run: () => void): void {
    const { clock } = this.#claim.runtime;
    this.#stop();
    this.#stop = clock.timer(Math.max(due - clock.mono(), 0), run);
  }

  async #renew(): Promise<void> {
    for (let failures = 0; this.held(); failures++) {
      try {
        if (failures === 0) return this.#take(await this.#claim.renew(this.#grant, this.over));
        await this.#claim.rest(failures, this.over);
        // It may be written all the same, or be somebody else's: what is there decides.
        const entry = await this.#claim.read(this.over);
        if (!this.#claim.isMine(entry)) return this.#lose(leaseHolder(entry)?.owner);
        return this.#take(await this.#claim.write(entry, this.over));
      } catch (thrown) {
        this.#warn(thrown, failures);
      }
    }
    this.#expire();
  }

  #take(grant: Grant): void {
    // Once it was not held by this clock it never is again, though nobody else had it.
    this.#look();
    if (this.over.aborted) return;
    this.#grant = grant;
    this.#rest();
  }

  /** Ends it if its time is over, though no timer has run yet. */
  #look(): void {
    if (!this.held()) this.#expire();
  }

  #expire(): void {
    if (this.over.aborted) return;
    const { ttl } = this.#claim;
    this.#end(
      "TIMEOUT",
      () => `"${this.owner}" lost the lease "${this.key}": it could not be renewed in ${ttl} ms`,
    );
    // Others need not wait for what a writing that was never confirmed may have prolonged.
    this.#claim.runtime.background(this.#claim.remove(this.#grant.revision));
  }

  #lose(holder: string | undefined): void {
    const found = holder === undefined ? "it is gone from the store" : `"${holder}" has it`;
    this.#end("CONFLICT", () => `"${this.owner}" lost the lease "${this.key}": ${found}`, { holder });
  }

  #end(code: SystemCode, why: () => string, data?: unknown): void {
    this.#stop();
    this.over.end(() => new CatgaError(systemFault(code, why(), data)));
  }

  #warn(thrown: unknown, failures: number): void {
    if (failures > 0 || this.over.aborted) return;
    const { code, message } = faultOf(thrown);
    this.#claim.runtime.log({
      level: "warn",
      event: "lease.renewal_failed",
      message: `Could not renew the lease "${this.key}": ${message}`,
      fields: { key: this.key, owner: this.owner, token: this.token, code },
    });
  }
}
