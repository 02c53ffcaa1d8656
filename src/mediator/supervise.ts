import { failure, type Fault, type Result, systemFault } from "../result.ts";
import type { Clock } from "../ports/runtime.ts";
import type { MessageContext } from "./context.ts";
import type { Step } from "./types.ts";

/** Runs a step until it answers, its deadline passes or a signal aborts, whichever comes first. */
export function supervise(
  step: Step,
  context: MessageContext,
  deadline: number,
  clock: Clock,
): Promise<Result<unknown, Fault>> {
  const { type } = context.contract;
  const parent = context.origin?.parent;
  const own = context.origin?.signal;
  const inherited = parent?.cancellable ? parent.signal : undefined;
  if (own?.aborted || inherited?.aborted) return Promise.resolve(failure(cancelledFault(type)));
  const remaining = deadline - clock.mono();
  if (remaining <= 0) return Promise.resolve(failure(timeoutFault(type)));
  context.watch(deadline);

  return new Promise((resolve) => {
    const finish = (result: Result<unknown, Fault>): void => {
      stop?.();
      own?.removeEventListener("abort", abort);
      inherited?.removeEventListener("abort", abort);
      resolve(result);
    };
    const giveUp = (fault: Fault): void => {
      finish(failure(fault));
      context.cancel(fault);
    };
    const abort = (): void => giveUp(cancelledFault(type));
    const stop = deadline === Infinity ? undefined : clock.timer(remaining, () => giveUp(timeoutFault(type)));
    own?.addEventListener("abort", abort, { once: true });
    inherited?.addEventListener("abort", abort, { once: true });
    step(context).then(finish);
  });
}

/** The fault of a call whose deadline passed. */
export function timeoutFault(type: string): Fault {
  return systemFault("TIMEOUT", `"${type}" was not answered before its deadline; it may have run`);
}

/** The fault of a call that its caller gave up. */
export function cancelledFault(type: string): Fault {
  return systemFault("CANCELLED", `"${type}" was given up by its caller; it may have run`);
}
