import type { Fault, Result } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import { type Behavior, calm } from "../mediator/behavior.ts";
import type { MessageContext } from "../mediator/context.ts";
import type { Context } from "../mediator/types.ts";

/** What {@linkcode retry} takes. */
export interface RetryOptions {
  /** How often a message is tried at most, 1 or more. @default 3 */
  readonly attempts?: number;
  /** The longest wait before the second try, in ms; it doubles with each further one. @default 50 */
  readonly delay?: number;
  /** The longest wait of all, in ms. @default 2000 */
  readonly maxDelay?: number;
}

/**
 * Tries a message again after a retryable failure, waiting a random part of a doubling delay ("full jitter",
 * M. Brooker, "Exponential Backoff and Jitter", 2015). Takes no part for contracts that are not idempotent, and
 * stops when the caller gave up or its deadline would pass. Put `timeout` around it: one further in ends the message
 * itself, and with it the tries.
 */
export function retry(options: RetryOptions = {}): Behavior {
  const { attempts = 3, delay = 50, maxDelay = 2000 } = options;
  if (!(attempts >= 1)) throw new RangeError(`Cannot retry: attempts is ${attempts}, but must be 1 or more`);
  return calm((next, contract, { clock, random }) => {
    if (!contract.idempotent || attempts === 1) return next;
    const again = async (first: Fault, context: Context): Promise<Result<unknown, Fault>> => {
      let result: Result<unknown, Fault> = { ok: false, error: first };
      for (let attempt = 1; attempt < attempts && !result.ok && result.error.retryable; attempt++) {
        const wait = backoff(attempt, delay, maxDelay, random.u32());
        const message = context as MessageContext;
        if (message.cancelled !== undefined || clock.mono() + wait >= message.deadline) break;
        await sleep(clock, wait, message.cancellable ? message.signal : undefined);
        if (message.cancelled !== undefined) break;
        result = await next(context);
      }
      return result;
    };
    return (context) =>
      next(context).then((result) =>
        result.ok || !result.error.retryable ? result : again(result.error, context)
      );
  });
}
