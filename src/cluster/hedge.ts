import type { Fault, Result } from "../result.ts";
import type { Clock } from "../ports/runtime.ts";
import type { RemoteCall } from "./remote_call.ts";

/** Takes what came of a call. */
export type Take = (result: Result<unknown, Fault>) => void;

/** What a hedge is made of. */
export interface HedgeParts {
  readonly clock: Clock;
  /** How long the first call has before the second is made, in ms. */
  readonly after: number;
  /** Starts the first call. */
  first(take: Take): RemoteCall;
  /** Starts the second, unless there is nobody to ask or no budget for it. */
  second(take: Take): RemoteCall | undefined;
}

/**
 * Asks a second node when the first takes its time. The first answer counts, and the other call is given up (Dean and
 * Barroso, The Tail at Scale, 2013). A failure that may heal is no answer while the other call may still have one.
 */
export function hedge({ clock, after, first, second }: HedgeParts, resolve: Take): void {
  const calls: RemoteCall[] = [];
  let waiting = 1;
  let over = false;
  const take: Take = (result) => {
    waiting--;
    if (over || (waiting > 0 && !result.ok && result.error.retryable)) return;
    over = true;
    stop();
    resolve(result);
    for (const call of calls) call.cancel();
  };
  const stop = clock.timer(after, () => {
    waiting++;
    const call = second(take);
    if (call === undefined) waiting--;
    else calls.push(call);
  });
  calls.push(first(take));
}
