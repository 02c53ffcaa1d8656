import { failure, type Fault, type Result, systemFault } from "../result.ts";
import { type Behavior, calm } from "../mediator/behavior.ts";

/** What {@linkcode circuitBreaker} takes. */
export interface CircuitBreakerOptions {
  /** How many failures in a row open the circuit, 1 or more; `Infinity` takes no part. @default 5 */
  readonly failures?: number;
  /** How long it stays open, in ms. @default 10000 */
  readonly reset?: number;
}

const BROKEN: ReadonlySet<string> = new Set([
  "INTERNAL",
  "TIMEOUT",
  "TRANSPORT",
  "UNAVAILABLE",
  "OVERLOADED",
]);

/** They say nothing about the handler. */
const NEUTRAL: ReadonlySet<string> = new Set(["VALIDATION", "CANCELLED"]);

/**
 * Answers `UNAVAILABLE` at once, without starting the handler, while a contract fails again and again. After `reset`
 * ms one message is let through; its outcome closes the circuit or keeps it open. A message that is out of time
 * counts when its deadline passes, also if its handler never settles. The contract's own failures, refused bodies
 * and cancelled calls do not count.
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): Behavior {
  const { failures = 5, reset = 10_000 } = options;
  if (!(failures >= 1)) {
    throw new RangeError(`Cannot break circuits: failures is ${failures}, but must be 1 or more`);
  }
  return calm((next, contract, { clock }) => {
    if (failures === Infinity) return next;
    let failed = 0;
    let openUntil = 0;
    let probing = false;
    const refused = (): Result<unknown, Fault> => {
      const retryAfter = Math.max(openUntil - clock.mono(), 0);
      const message = `"${contract.type}" failed ${failed} times in a row; the circuit is open`;
      return failure(systemFault("UNAVAILABLE", message, { retryAfter }));
    };
    const settle = (result: Result<unknown, Fault>): Result<unknown, Fault> => {
      if (!result.ok && NEUTRAL.has(result.error.code)) return result;
      if (result.ok || !BROKEN.has(result.error.code)) failed = 0;
      else if (++failed >= failures) openUntil = clock.mono() + reset;
      return result;
    };
    // A call from before the circuit opened decides nothing once it is open.
    const count = (result: Result<unknown, Fault>): Result<unknown, Fault> =>
      failed < failures ? settle(result) : result;
    const probed = (result: Result<unknown, Fault>): Result<unknown, Fault> => {
      probing = false;
      return settle(result);
    };
    return (context) => {
      if (failed >= failures) {
        if (probing || clock.mono() < openUntil) return Promise.resolve(refused());
        probing = true;
        return next(context).then(probed);
      }
      return next(context).then(count);
    };
  });
}
