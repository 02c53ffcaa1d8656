import { failure, type Fault, type Result, systemFault } from "../result.ts";
import { type Behavior, calm } from "../mediator/behavior.ts";
import type { MessageContext } from "../mediator/context.ts";
import { timeoutFault } from "../mediator/supervise.ts";
import type { Context } from "../mediator/types.ts";

/** What {@linkcode bulkhead} takes. */
export interface BulkheadOptions {
  /** How many messages of one contract may be handled at once, 1 or more. */
  readonly concurrency: number;
  /** How many more may wait. @default 0 */
  readonly queue?: number;
}

/**
 * Keeps one contract from taking everything: so many at once, so many waiting, and `OVERLOADED` at once for the
 * rest. A message whose caller gave up while it waited is not started and leaves its place; a handler that goes on
 * after its caller has gone keeps its own. Takes no part when `concurrency` is `Infinity`.
 */
export function bulkhead(options: BulkheadOptions): Behavior {
  const { concurrency, queue = 0 } = options;
  if (!(concurrency >= 1)) {
    throw new RangeError(`Cannot build a bulkhead: concurrency is ${concurrency}, but must be 1 or more`);
  }
  if (!(queue >= 0)) {
    throw new RangeError(`Cannot build a bulkhead: queue is ${queue}, but must be 0 or more`);
  }
  return calm((next, contract, { clock }) => {
    if (concurrency === Infinity) return next;
    const waiting = new Set<() => void>();
    let running = 0;
    const start = (context: Context): Promise<Result<unknown, Fault>> => {
      running++;
      return next(context).then((result) => {
        // A handler that goes on after its caller has gone keeps its place.
        const still = (context as MessageContext).stillHandled;
        if (still === undefined) release();
        else void still.then(release);
        return result;
      });
    };
    const release = (): void => {
      running--;
      startNext();
    };
    const startNext = (): void => {
      while (running < concurrency) {
        const [go] = waiting;
        if (go === undefined) return;
        waiting.delete(go);
        go();
      }
    };
    return (context) => {
      if (running < concurrency) return start(context);
      if (waiting.size >= queue) {
        const message =
          `"${contract.type}" has ${running} messages under way and ${waiting.size} waiting; no more fit`;
        return Promise.resolve(failure(systemFault("OVERLOADED", message)));
      }
      const call = context as MessageContext;
      return new Promise((resolve) => {
        const go = (): void => {
          stop();
          const late = clock.mono() >= call.deadline ? timeoutFault(contract.type) : call.cancelled;
          if (late === undefined) return void start(context).then(resolve);
          resolve(failure(late));
        };
        waiting.add(go);
        const stop = call.whenCancelled((fault) => {
          if (waiting.delete(go)) resolve(failure(fault));
        });
      });
    };
  });
}
