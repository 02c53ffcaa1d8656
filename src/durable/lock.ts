import { CatgaError, systemFault } from "../result.ts";
import { Ending } from "../internal/ending.ts";
import { sleep } from "../internal/sleep.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import type { HeldLease } from "./held_lease.ts";
import { type Lease, takeLease } from "./lease.ts";
import { courtesyOver, type LockCourtesy } from "./lock_courtesy.ts";
import { LockLine } from "./lock_line.ts";

/** What {@linkcode createLocks} takes. */
export interface LocksOptions {
  /** Where locks are kept. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Who asks for locks: a name for people, such as that of a node. */
  readonly owner: string;
  /** What the keys of locks begin with. @default "locks/" */
  readonly prefix?: string | undefined;
  /** How long a lock lasts after its holder was last heard of, in ms: at least 100. @default 10_000 */
  readonly ttl?: number | undefined;
  /** How many may wait in this process, for all locks together; over it `OVERLOADED`. @default 1024 */
  readonly waiting?: number | undefined;
}

/** What {@linkcode Locks.acquire} takes. */
export interface LockOptions {
  /** How long to wait for others, in ms; 0 asks once, `Infinity` until the signal aborts. @default 10_000 */
  readonly timeout?: number | undefined;
  /** Gives up waiting. It has no effect on a lock that was acquired. */
  readonly signal?: AbortSignal | undefined;
}

/** Locks that all processes on one store share. Disposing them releases those held here and refuses who waits. */
export interface Locks extends AsyncDisposable {
  /**
   * Waits for a lock and holds it until it is disposed of or released. What is written under it should carry its
   * `token`, and stop when its `signal` aborts: it is a {@linkcode Lease}, with all that a lease promises.
   *
   * Whoever waits in one process gets it in the order of asking; between processes chance decides, and one that had it
   * for as long as others take to notice lets them go first. Who holds it and asks again waits for itself.
   *
   * Rejects with a `CatgaError`: `TIMEOUT` when others held it for all of `timeout`, `CONFLICT` when `timeout` is 0 and
   * it is taken, `OVERLOADED` when too many wait, `CANCELLED` when the signal aborts or these locks are disposed of.
   */
  acquire(name: string, options?: LockOptions): Promise<Lease>;
  /**
   * Does something under a lock. Rejects with what the work throws, or, when the lock was lost before the work was
   * done, with the reason of `held.signal`: what it did may have met what the next holder did.
   */
  run<T>(name: string, work: (held: Lease) => T | Promise<T>, options?: LockOptions): Promise<T>;
}

/** How many of this process follow one another before others, who were told, get time to ask, and how much, in ms. */
const TURNS = 8;
const COURTESY = 25;

/**
 * Locks over a store, each a lease under a name.
 *
 * @example
 * ```ts
 * import { createLocks } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const locks = createLocks({ store: memoryStore({ clock: runtime.clock }), runtime, owner: "node-1" });
 * const left = await locks.run("stock/p1", (held) => {
 *   console.log(`write with token ${held.token}`);
 *   return 41;
 * }, { timeout: 2000 });
 * console.log(left);
 * ```
 */
export function createLocks(options: LocksOptions): Locks {
  return new LockDesk(options);
}

class LockDesk implements Locks {
  readonly #options: LocksOptions;
  readonly #ttl: number;
  readonly #most: number;
  readonly #lines: Map<string, LockLine> = new Map();
  readonly #asking: Set<Ending> = new Set();
  readonly #held: Set<Lease> = new Set();
  readonly #courtesy: LockCourtesy | undefined;
  #waiting = 0;
  #closed = false;

  constructor(options: LocksOptions) {
    const { ttl = 10_000, waiting = 1024 } = options;
    if (!(ttl >= 100 && ttl < Infinity)) {
      throw new RangeError(`Cannot make locks: the ttl is ${ttl}, but must be 100 ms or more`);
    }
    if (!(waiting >= 0)) {
      throw new RangeError(`Cannot make locks: waiting is ${waiting}, but must be 0 or more`);
    }
    this.#options = options;
    this.#ttl = ttl;
    this.#most = waiting;
    this.#courtesy = courtesyOver(options, ttl / 3);
  }

  async acquire(name: string, { timeout = 10_000, signal }: LockOptions = {}): Promise<HeldLease> {
    if (!(timeout >= 0)) {
      throw new RangeError(
        `Cannot acquire the lock "${name}": the timeout is ${timeout}, but must be 0 ms or more`,
      );
    }
    const over = new Ending();
    const leave = over.follow(signal, () => this.#cancelled(name));
    if (this.#closed) over.end(() => this.#cancelled(name));
    this.#asking.add(over);
    try {
      return await this.#acquire(name, timeout, over);
    } finally {
      this.#asking.delete(over);
      leave();
    }
  }

  async run<T>(
    name: string,
    work: (held: Lease) => T | Promise<T>,
    options?: LockOptions,
  ): Promise<T> {
    const held = await this.acquire(name, options);
    try {
      const value = await work(held);
      if (!held.held() && !isRelease(held.signal.reason)) throw held.signal.reason;
      return value;
    } finally {
      await held.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const asking of [...this.#asking]) asking.end(() => this.#cancelled("any"));
    await Promise.all([...this.#held].map((lease) => lease.release()));
  }

  async #acquire(name: string, timeout: number, over: Ending): Promise<HeldLease> {
    if (over.aborted) throw over.reason;
    const { store, runtime, owner, prefix = "locks/" } = this.#options;
    const { clock } = runtime;
    const begun = clock.mono();
    // What was given back a moment ago may not be free yet.
    if (timeout === 0) await this.#lines.get(name)?.back;
    const line = this.#lines.get(name) ?? new LockLine();
    this.#lines.set(name, line);
    if (line.taken) await this.#queue(name, line, timeout, over);
    else line.taken = true;
    const key = prefix + name;
    let lease: HeldLease | undefined;
    let unmark: (() => void) | undefined;
    try {
      if (timeout > 0) await this.#courtesy?.stayAway(key, begun + timeout - clock.mono(), over);
      // Whoever was willing to wait still is, if only for a moment.
      const left = timeout === 0 ? 0 : Math.max(begun + timeout - clock.mono(), 1);
      if (timeout > 0) unmark = this.#courtesy?.wait(key);
      const most = left === Infinity ? undefined : left;
      lease = await takeLease(key, { store, runtime, owner, ttl: this.#ttl, timeout: most }, over);
      this.#courtesy?.got(key);
      return this.#keep(name, line, lease);
    } finally {
      unmark?.();
      if (lease === undefined) this.#next(name, line);
    }
  }

  /** Waits until it is this one's turn to ask. */
  async #queue(name: string, line: LockLine, timeout: number, over: Ending): Promise<void> {
    const { clock } = this.#options.runtime;
    if (timeout === 0) throw this.#refused("CONFLICT", name, line, "is taken in this process");
    if (this.#waiting >= this.#most) {
      throw this.#refused("OVERLOADED", name, line, `cannot be waited for: ${this.#waiting} wait already`);
    }
    this.#waiting++;
    try {
      await line.wait(clock, timeout, over, () => {
        return this.#refused("TIMEOUT", name, line, `was not free in ${timeout} ms: others of it had it`);
      });
    } finally {
      this.#waiting--;
    }
  }

  #keep(name: string, line: LockLine, lease: HeldLease): HeldLease {
    line.holder = lease;
    this.#held.add(lease);
    lease.over.addEventListener("abort", () => {
      line.holder = undefined;
      this.#held.delete(lease);
      // What is asked here goes with the request that gives it back, and that one may be overtaken by others.
      const others = this.#courtesy?.gaveBack(lease.key);
      const free = others === undefined ? lease.release() : others.then(() => lease.release());
      this.#options.runtime.background(line.back = free.then(() => this.#next(name, line)));
    });
    return lease;
  }

  /** Lets the next of this process ask; now and then others first. */
  #next(name: string, line: LockLine): void {
    if (!line.waited) {
      this.#lines.delete(name);
      return;
    }
    const { clock } = this.#options.runtime;
    if (this.#courtesy !== undefined || ++line.turns % TURNS !== 0) return this.#call(name, line);
    this.#options.runtime.background(sleep(clock, COURTESY).then(() => this.#call(name, line)));
  }

  #call(name: string, line: LockLine): void {
    if (!line.call()) this.#lines.delete(name);
  }

  #refused(
    code: "CONFLICT" | "OVERLOADED" | "TIMEOUT",
    name: string,
    { holder }: LockLine,
    why: string,
  ): CatgaError {
    const data = holder === undefined ? {} : { holder: { owner: holder.owner, token: holder.token } };
    return new CatgaError(systemFault(code, `For "${this.#options.owner}" the lock "${name}" ${why}`, data));
  }

  #cancelled(name: string): CatgaError {
    const message = `"${this.#options.owner}" waits no longer for the lock "${name}"`;
    return new CatgaError(systemFault("CANCELLED", message));
  }
}

function isRelease(reason: unknown): boolean {
  return CatgaError.is(reason) && reason.code === "CANCELLED";
}
