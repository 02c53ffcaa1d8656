import { CatgaError, faultOf, systemFault } from "../result.ts";
import type { Store } from "../ports/store.ts";
import type { Grant, LeaseClaim } from "./lease_claim.ts";
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
  readonly #watch: LeaseWatch;
  readonly #timeout: number | undefined;
  readonly #over: AbortController = new AbortController();
  readonly #stop: () => void;
  #holder: LeaseHolder | undefined;
  #refusal: CatgaError | undefined;
  #isFree = true;
  /** Whether to read what there is before it waits. */
  #asks: boolean;

  constructor(claim: LeaseClaim, store: Store, timeout: number | undefined) {
    this.#claim = claim;
    this.#watch = new LeaseWatch(claim, store);
    this.#timeout = timeout;
    this.#asks = timeout === 0 || !this.#watch.looks;
    this.#stop = timeout === undefined || timeout === 0
      ? () => {}
      : claim.runtime.clock.timer(timeout, () => this.#over.abort(this.#late()));
  }

  cancel(): void {
    const message = `"${this.#claim.owner}" waits no longer for the lease "${this.#claim.key}"`;
    this.#over.abort(new CatgaError(systemFault("CANCELLED", message)));
  }

  close(): void {
    this.#stop();
    this.#watch.close();
  }

  async grant(): Promise<Grant> {
    const { signal } = this.#over;
    for (let failures = 0;;) {
      if (signal.aborted) throw signal.reason;
      try {
        const grant = await this.#attempt(signal);
        if (grant !== undefined && !signal.aborted) return grant;
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) throw signal.reason;
        if (thrown === this.#refusal || !mayHeal(thrown) || (this.#timeout === 0 && failures >= TRIES)) {
          throw thrown;
        }
        if (failures === 0) this.#warn(thrown);
        // It may be written all the same: what is there decides.
        this.#isFree = false;
        this.#asks = true;
        await this.#claim.rest(++failures, signal);
      }
    }
  }

  /** Takes the lease if it is free, else waits until it may be. */
  async #attempt(signal: AbortSignal): Promise<Grant | undefined> {
    if (this.#isFree) {
      try {
        return this.#inTime(await this.#claim.write(undefined, signal));
      } catch (thrown) {
        if (!isConflict(thrown)) throw thrown;
        this.#isFree = false;
        this.#watch.missed();
      }
    }
    if (this.#asks) {
      const entry = await this.#claim.read(signal);
      if (entry === undefined || this.#claim.isMine(entry)) {
        return this.#inTime(await this.#claim.write(entry, signal));
      }
      this.#holder = leaseHolder(entry);
      if (this.#timeout === 0) throw this.#refusal = this.#taken();
    }
    this.#isFree = await this.#watch.next(signal);
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
    const holder = this.#watch.holder ?? this.#holder;
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

function isConflict(thrown: unknown): boolean {
  return CatgaError.is(thrown) && thrown.code === "CONFLICT";
}
