import type { Fault, Result } from "../result.ts";
import { TokenBucket } from "../internal/token_bucket.ts";
import type { Clock } from "../ports/runtime.ts";
import type { RemoteCall } from "./remote_call.ts";

/** Takes what came of a call. */
export type Take = (result: Result<unknown, Fault>) => void;

/** How many second calls may be made at once, how many more a second, and how much of one each first call earns. */
const AT_ONCE = 10;
const A_SECOND = 1;
const EARNED = 0.1;

/**
 * Asks a second node when the first takes its time. The first answer counts, and the other call is given up (Dean and
 * Barroso, The Tail at Scale, 2013). A failure that may heal is no answer while the other call may still have one.
 */
export class Hedges {
  readonly #clock: Clock;
  readonly #budget: TokenBucket;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#budget = new TokenBucket(AT_ONCE, A_SECOND, clock.mono());
  }

  /**
   * @param after how long the first call has before the second is made, in ms
   * @param first starts the first call
   * @param second finds somebody else to ask; answers what starts that call, if there is anybody
   */
  call(
    after: number,
    first: (take: Take) => RemoteCall,
    second: (take: Take) => (() => RemoteCall) | undefined,
  ): Promise<Result<unknown, Fault>> {
    this.#budget.earn(EARNED);
    return new Promise((resolve) => {
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
      const stop = this.#clock.timer(after, () => {
        const start = second(take);
        if (start === undefined || !this.#budget.take(this.#clock.mono())) return;
        waiting++;
        calls.push(start());
      });
      calls.push(first(take));
    });
  }
}
