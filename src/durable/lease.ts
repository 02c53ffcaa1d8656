import { CatgaError, systemFault } from "../result.ts";
import { Ending } from "../internal/ending.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import { HeldLease } from "./held_lease.ts";
import { LeaseClaim } from "./lease_claim.ts";
import { LeaseWait } from "./lease_wait.ts";

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

/**
 * Waits for a lease and holds it, renewing it at each third of its time. One that is free costs one write. An answer
 * that was lost is settled by reading back, so a lease is never taken for held because of a guess.
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
  const { owner, signal } = options;
  const over = new Ending();
  const leave = over.follow(
    signal,
    () => new CatgaError(systemFault("CANCELLED", `"${owner}" waits no longer for the lease "${key}"`)),
  );
  try {
    return await takeLease(key, options, over);
  } finally {
    leave();
  }
}

/** The same with an ending in the place of the signal; it also ends when the time is over. */
export async function takeLease(
  key: string,
  { store, runtime, owner, ttl, timeout }: LeaseOptions,
  over: Ending,
): Promise<HeldLease> {
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
  const wait = new LeaseWait(claim, store, timeout, over);
  try {
    return new HeldLease(claim, await wait.grant());
  } catch (thrown) {
    if (claim.written) runtime.background(claim.remove());
    throw thrown;
  } finally {
    wait.close();
  }
}
