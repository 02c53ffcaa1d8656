import { CatgaError, faultOf, type SystemFault, systemFault } from "../result.ts";
import { sleep } from "../internal/sleep.ts";
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
  readonly #claim: LeaseClaim;
  readonly #over: AbortController = new AbortController();
  #grant: Grant;
  #stop: () => void = () => {};
  #released: Promise<void> | undefined;

  constructor(claim: LeaseClaim, grant: Grant) {
    this.key = claim.key;
    this.owner = claim.owner;
    this.token = grant.token;
    this.#claim = claim;
    this.#grant = grant;
    this.#arm();
    claim.runtime.background(this.#keep());
  }

  get signal(): AbortSignal {
    this.#look();
    return this.#over.signal;
  }

  held(): boolean {
    return !this.#over.signal.aborted && this.#claim.runtime.clock.mono() < this.#grant.until;
  }

  assertHeld(): void {
    this.#look();
    this.#over.signal.throwIfAborted();
  }

  release(): Promise<void> {
    if (this.#released !== undefined) return this.#released;
    if (this.#over.signal.aborted) return this.#released = Promise.resolve();
    this.#end(systemFault("CANCELLED", `The lease "${this.key}" was released by "${this.owner}"`));
    return this.#released = this.#claim.remove(this.#grant.revision);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Renews the lease at each third of its time, until it is over. */
  async #keep(): Promise<void> {
    const { clock } = this.#claim.runtime;
    const { signal } = this.#over;
    while (this.held()) {
      await sleep(clock, this.#grant.since + this.#claim.ttl / 3 - clock.mono(), signal);
      if (this.held()) await this.#renew();
    }
    this.#expire();
  }

  async #renew(): Promise<void> {
    const { signal } = this.#over;
    for (let failures = 0; this.held(); failures++) {
      try {
        if (failures === 0) return this.#take(await this.#claim.renew(this.#grant, signal));
        await this.#claim.rest(failures, signal);
        // It may be written all the same, or be somebody else's: what is there decides.
        const entry = await this.#claim.read(signal);
        if (!this.#claim.isMine(entry)) return this.#lose(leaseHolder(entry)?.owner);
        return this.#take(await this.#claim.write(entry, signal));
      } catch (thrown) {
        this.#warn(thrown, failures);
      }
    }
  }

  #take(grant: Grant): void {
    // Once it was not held by this clock it never is again, though nobody else had it.
    this.#look();
    if (this.#over.signal.aborted) return;
    this.#grant = grant;
    this.#arm();
  }

  #arm(): void {
    const { clock } = this.#claim.runtime;
    this.#stop();
    const due = this.#grant.until - LATENESS * this.#claim.ttl;
    this.#stop = clock.timer(Math.max(due - clock.mono(), 0), () => this.#expire());
  }

  /** Ends it if its time is over, though no timer has run yet. */
  #look(): void {
    if (!this.held()) this.#expire();
  }

  #expire(): void {
    if (this.#over.signal.aborted) return;
    const message =
      `"${this.owner}" lost the lease "${this.key}": it could not be renewed in ${this.#claim.ttl} ms`;
    this.#end(systemFault("TIMEOUT", message));
    // Others need not wait for what a writing that was never confirmed may have prolonged.
    this.#claim.runtime.background(this.#claim.remove(this.#grant.revision));
  }

  #lose(holder: string | undefined): void {
    const found = holder === undefined ? "it is gone from the store" : `"${holder}" has it`;
    this.#end(systemFault("CONFLICT", `"${this.owner}" lost the lease "${this.key}": ${found}`, { holder }));
  }

  #end(fault: SystemFault): void {
    if (this.#over.signal.aborted) return;
    this.#stop();
    this.#over.abort(new CatgaError(fault));
  }

  #warn(thrown: unknown, failures: number): void {
    if (failures > 0 || this.#over.signal.aborted) return;
    const { code, message } = faultOf(thrown);
    this.#claim.runtime.log({
      level: "warn",
      event: "lease.renewal_failed",
      message: `Could not renew the lease "${this.key}": ${message}`,
      fields: { key: this.key, owner: this.owner, token: this.token, code },
    });
  }
}
