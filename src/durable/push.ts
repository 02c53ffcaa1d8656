import { CatgaError, failure, type Fault, faultOf, ok, type Result, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { QueueItem } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Pushing } from "./command_group.ts";

/** What bounds a {@linkcode push}. */
export interface PushLimits {
  readonly queue: Pushing;
  readonly runtime: Runtime;
  /** When to give up, by the runtime's `clock.mono()`, in ms. */
  readonly deadline: number;
  /** Each of them gives up at once. */
  readonly signals: readonly AbortSignal[];
}

/** How long to wait between two tries, in ms: twice as long each time, up to the second. */
const DELAY = 25;
const LONGEST = 1000;
/** After how long, in ms, an answer counts as lost, at most. */
const PATIENCE = 5000;

/**
 * Puts items into a queue, again and again until it has them: it knows them by their ids. Never rejects; a failure
 * that is a `TIMEOUT` or `CANCELLED` may have stored them.
 */
export function push(
  topic: string,
  items: readonly QueueItem[],
  { queue, runtime, deadline, signals }: PushLimits,
): Promise<Result<void, Fault>> {
  const { clock } = runtime;
  return new Promise((resolve) => {
    const over = new AbortController();
    const attempt: Attempt = { giveUp: () => {} };
    const end = (result: Result<void, Fault>): void => {
      stop();
      for (const signal of signals) signal.removeEventListener("abort", cancel);
      over.abort();
      resolve(result);
    };
    const cancel = (): void =>
      end(failure(systemFault("CANCELLED", `"${topic}" was given up; it may be stored`)));
    const expire = (): void => {
      end(failure(systemFault("TIMEOUT", `"${topic}" was not stored before its deadline; it may be later`)));
    };
    const look = (): void => {
      const left = deadline - clock.mono();
      if (left <= 0) return expire();
      attempt.giveUp();
      stop = clock.timer(Math.min(left, PATIENCE), look);
    };
    let stop = (): void => {};
    if (signals.some((signal) => signal.aborted)) return cancel();
    look();
    if (over.signal.aborted) return;
    for (const signal of signals) signal.addEventListener("abort", cancel, { once: true });
    const work = (): Promise<void> =>
      new Promise((stored, failed) => {
        attempt.giveUp = () => failed(new CatgaError(systemFault("TRANSPORT", `"${topic}" did not answer`)));
        queue.push(topic, items, { signal: over.signal }).then(stored, failed);
      });
    void attempts(work, runtime, over.signal).then(end);
  });
}

/** One try. */
interface Attempt {
  giveUp: () => void;
}

async function attempts(
  work: () => Promise<void>,
  { clock, random }: Runtime,
  over: AbortSignal,
): Promise<Result<void, Fault>> {
  for (let failures = 1;; failures++) {
    try {
      await work();
      return ok(undefined);
    } catch (thrown) {
      const fault = faultOf(thrown);
      if (over.aborted || !CatgaError.is(thrown) || !fault.retryable || fault.code === "OVERLOADED") {
        return failure(fault);
      }
      await sleep(clock, backoff(failures, DELAY, LONGEST, random.u32()), over);
      if (over.aborted) return failure(fault);
    }
  }
}
