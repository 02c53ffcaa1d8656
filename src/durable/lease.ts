import { CatgaError, faultOf, systemFault } from "../result.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import { HeldLease } from "./held_lease.ts";
import { type Grant, LeaseClaim } from "./lease_claim.ts";
import { type LeaseHolder, leaseHolder } from "./lease_record.ts";
import { LeaseWatch } from "./lease_watch.ts";

/** What {@linkcode acquireLease} takes. */
export interface LeaseOptions {
  /** Where it is kept. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Who asks for it: a name for people, such as that of a node. Two claims of one owner exclude each other too. */
  readonly owner: string;
  /** How long it lasts after its holder was last heard of, in ms: at least 100. */
  readonly ttl: number;
  /** How long to wait for others to let go, in ms; 0 asks once. @default until the signal aborts */
  readonly timeout?: number | undefined;
  /** Gives up waiting. It has no effect on a lease that was acquired. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The exclusive right to something, for as long as it is renewed. No two claims hold the same lease at one time, as
 * long as clocks drift apart by less than 1 % and code stops when the signal aborts. A process that stood still
 * cannot know in time, so whatever is written to should refuse a `token` that is lower than the highest it has seen.
 *
 * Disposing it releases it.
 */
export interface Lease extends AsyncDisposable {
  /** What it is the right to: the key in the store. */
  readonly key: string;
  /** Who has it. */
  readonly owner: string;
  /** The fencing token: larger than that of every earlier holder. */
  readonly token: number;
  /**
   * Aborts when the lease is lost or released, before anybody else can hold it. The reason is a `CatgaError`:
   * `TIMEOUT` when it could not be renewed, `CONFLICT` when the store says it is not held, `CANCELLED` once released.
   */
  readonly signal: AbortSignal;
  /** Whether it is held right now, by the holder's own clock: to be asked before each step that needs it. */
  held(): boolean;
  /** Throws the signal's reason when it is not held. */
  assertHeld(): void;
  /**
   * Lets go: at once for this process, then in the store, but only what is its own. Never rejects; a store that
   * cannot be reached lets the time run out.
   */
  release(): Promise<void>;
}

/** The shortest time a lease may last, in ms. */
const SHORTEST = 100;
/** How often the store may fail in a row where nobody waits. */
const TRIES = 3;

/**
 * Waits for a lease and holds it, renewing it at each third of its time. An answer that was lost is settled by reading
 * back, so a lease is never taken for held because of a guess.
 *
 * Rejects with a `CatgaError`: `TIMEOUT` when others held it for all of `timeout`, `CONFLICT` when `timeout` is 0 and
 * another holds it (the data of both name the `holder`), `CANCELLED` when the signal aborted, or what the store
 * refuses for good.
 *
 * @example
 * ```ts
 * import { acquireLease } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock });
 * const lease = await acquireLease("leases/report", { store, runtime, owner: "node-1", ttl: 5000 });
 * console.log(lease.held(), lease.token);
 * await lease.release();
 * ```
 */
export async function acquireLease(key: string, options: LeaseOptions): Promise<Lease> {
  const { store, runtime, owner, ttl, timeout, signal } = options;
  if (!(ttl >= SHORTEST && ttl < Infinity)) {
    throw new RangeError(
      `Cannot acquire the lease "${key}": its ttl is ${ttl}, but must be ${SHORTEST} ms or more`,
    );
  }
  if (timeout !== undefined && !(timeout >= 0)) {
    throw new RangeError(
      `Cannot acquire the lease "${key}": the timeout is ${timeout}, but must be 0 ms or more`,
    );
  }
  const claim = new LeaseClaim(key, owner, ttl, store, runtime);
  const watch = new LeaseWatch(key, store, runtime);
  const waiting = new Waiting(claim, watch, timeout);
  const cancel = (): void => waiting.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return new HeldLease(claim, await waiting.grant());
  } catch (thrown) {
    if (claim.written) runtime.background(claim.remove());
    throw thrown;
  } finally {
    signal?.removeEventListener("abort", cancel);
    waiting.close();
    watch.close();
  }
}

/** One claim on its way to a lease. */
class Waiting {
  readonly #claim: LeaseClaim;
  readonly #watch: LeaseWatch;
  readonly #timeout: number | undefined;
  readonly #over: AbortController = new AbortController();
  readonly #stop: () => void;
  #holder: LeaseHolder | undefined;
  #refusal: CatgaError | undefined;

  constructor(claim: LeaseClaim, watch: LeaseWatch, timeout: number | undefined) {
    this.#claim = claim;
    this.#watch = watch;
    this.#timeout = timeout;
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
        await this.#claim.rest(++failures, signal);
      }
    }
  }

  /** Takes the lease if it is free, else waits until it may be. */
  async #attempt(signal: AbortSignal): Promise<Grant | undefined> {
    const { clock, random } = this.#claim.runtime;
    const entry = await this.#claim.read(signal);
    if (entry === undefined || this.#claim.isMine(entry)) {
      const grant = await this.#claim.write(entry, signal);
      // An answer that came too late says nothing about now.
      return clock.mono() < grant.until ? grant : undefined;
    }
    this.#holder = leaseHolder(entry);
    if (this.#timeout === 0) throw this.#refusal = this.#taken();
    // Changes come by the watch; looking now and then is for those that it loses.
    await this.#watch.next(this.#claim.patience * (0.75 + random.u32() / 2 ** 33), signal);
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
    const holder = this.#holder;
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
