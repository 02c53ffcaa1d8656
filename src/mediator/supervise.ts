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
  return new Promise((resolve) => {
    let over = false;
    const stop = watchLimits(context, deadline, clock, (fault) => {
      over = true;
      resolve(failure(fault));
    });
    if (over) return;
    const handling = step(context);
    // Where layers have not said so already, its end is the handler's own.
    context.later().handling ??= handling;
    handling.then((result) => {
      stop();
      resolve(result);
    });
  });
}

/**
 * Cancels a context once its deadline passes or one of its signals aborts, which may be at once.
 *
 * @param over called once with what it was cancelled with
 * @returns a function that calls the watch off
 */
export function watchLimits(
  context: MessageContext,
  deadline: number,
  clock: Clock,
  over: (fault: Fault) => void,
): () => void {
  const { type } = context.contract;
  const parent = context.origin?.parent;
  const signals = [context.origin?.signal, parent?.cancellable ? parent.signal : undefined];
  let timer: (() => void) | undefined;
  const stop = (): void => {
    timer?.();
    for (const signal of signals) signal?.removeEventListener("abort", abort);
  };
  const end = (fault: Fault): void => {
    stop();
    over(fault);
    context.cancel(fault);
  };
  const abort = (): void => end(cancelledFault(type));
  const remaining = deadline - clock.mono();
  context.watch(deadline);
  if (signals.some((signal) => signal?.aborted)) abort();
  else if (remaining <= 0) end(timeoutFault(type));
  else {
    for (const signal of signals) signal?.addEventListener("abort", abort, { once: true });
    if (remaining < Infinity) timer = clock.timer(remaining, () => end(timeoutFault(type)));
  }
  return stop;
}

/** The fault of a call whose deadline passed. */
export function timeoutFault(type: string): Fault {
  return systemFault("TIMEOUT", `"${type}" was not answered before its deadline; it may have run`);
}

/** The fault of a call that its caller gave up. */
export function cancelledFault(type: string): Fault {
  return systemFault("CANCELLED", `"${type}" was given up by its caller; it may have run`);
}
