import { CatgaError, faultOf, systemFault } from "../result.ts";
import type { Ending } from "../internal/ending.ts";
import type { Store } from "../ports/store.ts";
import { type Grant, isConflict, type LeaseClaim } from "./lease_claim.ts";
import { type LeaseHolder, leaseHolder } from "./lease_record.ts";
import { LeaseWatch } from "./lease_watch.ts";

/** How often the store may fail in a row where nobody waits. */
const TRIES = 3;

/**
 * One claim on its way to a lease. It tries first and asks only when somebody has it: then one write takes a lease that
 * is free. After that it tries without asking only when it heard that the lease is free.
 */
export class LeaseWait {
  readonly #claim: LeaseClaim;
  readonly #store: Store;
  readonly #timeout: number | undefined;
  readonly #over: Ending;
  readonly #stop: (() => void) | undefined;
  #watch: LeaseWatch | undefined;
  #holder: LeaseHolder | undefined;
  #refusal: CatgaError | undefined;
  #isFree = true;
  /** Whether to read what there is before it waits. */
  #asks: boolean;

  /** @param over ends the wait; ended by it when the time is over */
  constructor(claim: LeaseClaim, store: Store, timeout: number | undefined, over: Ending) {
    this.#claim = claim;
    this.#store = store;
    this.#timeout = timeout;
    this.#over = over;
    // The first word of a watch that looks costs as much as a look at the lease.
    this.#asks = timeout === 0 || store.looks === undefined;
    if (timeout === undefined || timeout === 0) return;
    this.#stop = claim.runtime.clock.timer(timeout, () => over.end(() => this.#late()));
  }

  close(): void {
    this.#stop?.();
    this.#watch?.close();
  }

  async grant(): Promise<Grant> {
    const over = this.#over;
    for (let failures = 0;;) {
      if (over.aborted) throw over.reason;
      try {
        const grant = await this.#attempt();
        if (grant !== undefined && !over.aborted) return grant;
        failures = 0;
      } catch (thrown) {
        if (over.aborted) throw over.reason;
        if (thrown === this.#refusal || !mayHeal(thrown) || (this.#timeout === 0 && failures >= TRIES)) {
          throw thrown;
        }
        if (failures === 0) this.#warn(thrown);
        // It may be written all the same: what is there decides.
        this.#isFree = false;
        this.#asks = true;
        await this.#claim.rest(++failures, over);
      }
    }
  }

  /** Takes the lease if it is free, else waits until it may be. */
  async #attempt(): Promise<Grant | undefined> {
    const over = this.#over;
    if (this.#isFree) {
      try {
        return this.#inTime(await this.#claim.write(undefined, over));
      } catch (thrown) {
        if (!isConflict(thrown)) throw thrown;
        this.#isFree = false;
        this.#watch?.missed();
      }
    }
    if (this.#asks) {
      const entry = await this.#claim.read(over);
      if (entry === undefined || this.#claim.isMine(entry)) {
        return this.#inTime(await this.#claim.write(entry, over));
      }
      this.#holder = leaseHolder(entry);
      if (this.#timeout === 0) throw this.#refusal = this.#taken();
    }
    this.#watch ??= new LeaseWatch(this.#claim, this.#store);
    this.#isFree = await this.#watch.next(over);
    this.#asks = !this.#isFree;
    return undefined;
  }

  /** An answer that came too late says nothing about now, but that what is there may be its own. */
  #inTime(grant: Grant): Grant | undefined {
    if (this.#claim.runtime.clock.mono() < grant.until) return grant;
    this.#isFree = false;
    this.#asks = true;
    return undefined;
  }

  /** Says why it takes so long, unless it is only that somebody was faster. */
  #warn(thrown: unknown): void {
    const { key, owner, runtime } = this.#claim;
    const { code, message } = faultOf(thrown);
    if (code === "CONFLICT") return;
    runtime.log({
      level: "warn",
      event: "lease.unreachable",
      message: `"${owner}" cannot ask for the lease "${key}" just now: ${message}`,
      fields: { key, owner, code },
    });
  }

  #late(): CatgaError {
    const { key, owner } = this.#claim;
    const holder = this.#watch?.holder ?? this.#holder;
    const why = holder === undefined ? "the store did not answer" : `"${holder.owner}" held it`;
    const message = `"${owner}" did not get the lease "${key}" in ${this.#timeout} ms: ${why}`;
    return new CatgaError(systemFault("TIMEOUT", message, { holder }));
  }

  #taken(): CatgaError {
    const { key, owner } = this.#claim;
    const holder = this.#holder;
    const message = `"${owner}" cannot have the lease "${key}": "${
      holder?.owner ?? "something else"
    }" has it`;
    return new CatgaError(systemFault("CONFLICT", message, { holder }));
  }
}

/** Whether another try may go better: also when somebody was faster. */
function mayHeal(thrown: unknown): boolean {
  return CatgaError.is(thrown) && (thrown.retryable || thrown.code === "CONFLICT");
}
