import { type Behavior, calm } from "../mediator/behavior.ts";
import type { MessageContext } from "../mediator/context.ts";
import type { Step } from "../mediator/types.ts";
import { supervise } from "../mediator/supervise.ts";

/**
 * Answers `TIMEOUT` and aborts the handler's signal when a message takes longer than so many ms. Takes no part for
 * contracts with a `timeout` of their own, which is kept without any behavior.
 *
 * @param ms above 0; for a stream, the time until it opens
 */
export function timeout(ms: number): Behavior {
  if (!(ms > 0)) throw new RangeError(`Cannot set a timeout of ${ms} ms: it must be above 0`);
  return calm((next, contract, { clock }) => {
    if (contract.timeout !== undefined) return next;
    const limited: Step = (context) => supervise(next, context as MessageContext, clock.mono() + ms, clock);
    if (contract.kind !== "stream") return limited;
    return (context) => {
      const late = (context as MessageContext).later();
      const before = late.deadline;
      // What an open stream sends is bounded by its caller alone.
      return limited(context).then((result) => {
        if (result.ok) late.deadline = before;
        return result;
      });
    };
  });
}
