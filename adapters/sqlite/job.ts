import type { CatgaError } from "../../src/result.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";
import type { Transaction } from "./transaction.ts";

/** Something that is to be written, and who waits for it. */
export interface Job {
  readonly what: string;
  readonly work: (tx: Transaction) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  /** When it was asked for, by the monotonic clock. */
  readonly since: number;
  /** How many characters or bytes it carries. */
  readonly size: number;
  /** It makes room in the end, so it may use what is kept back for that. */
  readonly frees: boolean;
  /** Gives it up. */
  readonly signal: AbortSignal | undefined;
  /** Nobody waits for it any longer. */
  over: boolean;
  /** Stops listening to its signal; missing while nobody listens. */
  done: (() => void) | undefined;
  outcome: unknown;
  error: CatgaError | undefined;
}

/** Gives a job up if its signal has aborted; whether it did. */
export function giveUp(job: Job): boolean {
  if (job.signal?.aborted !== true) return false;
  settle(job, storeCancelled(job.what));
  return true;
}

/**
 * Gives a job up as soon as its signal aborts. For those that have to wait: most are done in their turn, and a listener
 * costs more than a row and lets Node keep all they carry until its event loop goes on.
 */
export function heedSignal(job: Job): void {
  const { signal } = job;
  if (signal === undefined || job.done !== undefined || job.over || giveUp(job)) return;
  const abort = (): void => settle(job, storeCancelled(job.what));
  signal.addEventListener("abort", abort, { once: true });
  job.done = () => signal.removeEventListener("abort", abort);
}

/** Tells who waits for a job what came of it. */
export function settle(job: Job, error: CatgaError | undefined): void {
  if (job.over) return;
  job.over = true;
  job.done?.();
  if (error === undefined) job.resolve(job.outcome as never);
  else job.reject(error);
}
