import { CatgaError, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { LeasedWorker } from "../ids/leased_worker.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import { takeWorker } from "./worker_id_take.ts";

/** What {@linkcode leaseWorker} takes. */
export interface WorkerOptions {
  /** Where it is kept: for all who make ids of one kind the same. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Who asks for it: a name for people, such as that of a node. */
  readonly owner: string;
  /** How many workers there are: `2 ** layout.worker`. At most 4096. @default 1024 */
  readonly workers?: number | undefined;
  /** Which ids they make: those of one name have one layout and one epoch. 1 to 128 characters. @default "ids" */
  readonly name?: string | undefined;
  /** How long it lasts after its holder was last heard of, in ms: at least 100. @default 10000 */
  readonly ttl?: number | undefined;
  /** How long to wait for one that is free, in ms; 0 asks once. @default until the signal aborts */
  readonly timeout?: number | undefined;
  /** Gives up waiting. It has no effect on a worker that was leased. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The right to make ids as one of the workers, for `snowflake` of `/ids`. Disposing it releases it.
 *
 * Each ms in which ids are made was reserved in the store before, for this holder alone; the next one with the same
 * number begins behind it. So no id is made twice, also when a process stood still or a clock jumped.
 */
export interface WorkerLease extends LeasedWorker, AsyncDisposable {
  /** Who has it. */
  readonly owner: string;
  /** Larger than that of each earlier holder of this worker. */
  readonly token: number;
  /**
   * Aborts when it is lost or released. The reason is a `CatgaError`, as with a `Lease`; from then on no id can be
   * made with it, and another one has to be leased.
   */
  readonly signal: AbortSignal;
  /** Lets go: at once for this process, then in the store. Never rejects. */
  release(): Promise<void>;
}

/** The shortest time a lease may last, in ms. */
const SHORTEST = 100;
/** The most workers there may be: all of them are listed at once. */
const WORKERS = 4096;
/** How long to wait after the store has failed, in ms: twice as long each time, up to a third of the ttl. */
const DELAY = 50;
/** How often the store may fail in a row where nobody waits. */
const TRIES = 3;

/**
 * Leases the number of a worker that nobody else has, and keeps it. Takes one whose ids lie behind this clock, so that
 * a clock that went back far costs a new lease and no waiting.
 *
 * Rejects with a `CatgaError`: `OVERLOADED` when all were taken for all of `timeout`, `TIMEOUT` when the store did not
 * answer for that long, `CANCELLED` when the signal aborted, or what the store refuses for good.
 *
 * @example
 * ```ts
 * import { leaseWorker } from "@catga/catga/durable";
 * import { snowflake } from "@catga/catga/ids";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock });
 * const worker = await leaseWorker({ store, runtime, owner: "node-1" });
 * const ids = snowflake({ clock: runtime.clock, worker });
 * console.log(ids.next());
 * await worker.release();
 * ```
 */
export async function leaseWorker(options: WorkerOptions): Promise<WorkerLease> {
  const { store, runtime, owner, workers = 1024, name = "ids", ttl = 10_000, timeout, signal } = options;
  const check = (what: string, value: number, fits: boolean, wanted: string): void => {
    if (fits) return;
    throw new RangeError(`Cannot lease a worker of "${name}": ${what} is ${value}, but must be ${wanted}`);
  };
  const fits = Number.isInteger(workers) && workers > 0 && workers <= WORKERS;
  check("workers", workers, fits, `a whole number from 1 to ${WORKERS}`);
  check("the length of its name", name.length, name.length > 0 && name.length <= 128, "1 to 128");
  check("ttl", ttl, ttl >= SHORTEST && ttl < Infinity, `${SHORTEST} ms or more`);
  check("timeout", timeout ?? 0, (timeout ?? 0) >= 0, "0 ms or more");

  const over = new AbortController();
  const cancel = (): void => {
    const message = `"${owner}" waits no longer for a worker of "${name}"`;
    over.abort(new CatgaError(systemFault("CANCELLED", message)));
  };
  let last: unknown;
  const stop = timeout === undefined || timeout === 0
    ? () => {}
    : runtime.clock.timer(timeout, () =>
      over.abort(late(`"${owner}" got no worker of "${name}"`, timeout, last)));
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    for (let failures = 0;;) {
      over.signal.throwIfAborted();
      try {
        return await takeWorker({ store, runtime, owner, ttl, name, workers }, over.signal);
      } catch (thrown) {
        over.signal.throwIfAborted();
        failures = isFull(thrown) ? 0 : failures + 1;
        if (!mayHeal(thrown) || (timeout === 0 && (failures === 0 || failures > TRIES))) throw thrown;
        last = thrown;
      }
      await sleep(
        runtime.clock,
        pause(failures, ttl, runtime.random.u32()),
        over.signal,
      );
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    stop();
  }
}

/** How long to wait before the next try, in ms. */
function pause(failures: number, ttl: number, u32: number): number {
  return failures === 0 ? ttl / 3 * (0.75 + u32 / 2 ** 33) : backoff(failures, DELAY, ttl / 3, u32);
}

function late(what: string, timeout: number, last: unknown): CatgaError {
  const why = CatgaError.is(last) ? last.message : "the store did not answer";
  const code = isFull(last) ? "OVERLOADED" : "TIMEOUT";
  return new CatgaError(systemFault(code, `${what} in ${timeout} ms: ${why}`, undefined, last));
}

function isFull(thrown: unknown): boolean {
  return CatgaError.is(thrown) && thrown.code === "OVERLOADED";
}

/** Whether another try may go better: also when somebody was faster. */
function mayHeal(thrown: unknown): boolean {
  return CatgaError.is(thrown) && (thrown.retryable || thrown.code === "CONFLICT");
}
