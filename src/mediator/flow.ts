import { CatgaError, type Fault } from "../result.ts";
import type { MessageContext } from "./context.ts";
import { cancelledFault, watchLimits } from "./supervise.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Step } from "./types.ts";

/**
 * The answers of a stream handler, one by one, until they end, the caller breaks off or the deadline passes.
 *
 * @param faultFor makes a fault of what the handler threw
 */
export async function* flow(
  step: Step,
  context: MessageContext,
  deadline: number,
  clock: Clock,
  faultFor: (thrown: unknown) => Fault,
): AsyncGenerator<unknown, void, undefined> {
  let over: Fault | undefined;
  let giveUp: ((error: CatgaError) => void) | undefined;
  const stop = watchLimits(context, deadline, clock, (fault) => {
    over = fault;
    giveUp?.(new CatgaError(fault));
  });
  const limited = <T>(wait: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      giveUp = reject;
      wait.then(resolve, reject);
      if (over !== undefined) reject(new CatgaError(over));
    });
  let iterator: AsyncIterator<unknown> | undefined;
  let ended = false;
  const next = (): Promise<IteratorResult<unknown>> => limited(Promise.resolve(iterator!.next()));
  try {
    if (over !== undefined) throw new CatgaError(over);
    const opened = await limited(step(context));
    if (!opened.ok) throw new CatgaError(over = opened.error);
    const answers = opened.value as AsyncIterable<unknown> | null | undefined;
    if (typeof answers?.[Symbol.asyncIterator] !== "function") {
      throw new TypeError(`Cannot stream "${context.contract.type}": the handler gave no async iterable`);
    }
    iterator = answers[Symbol.asyncIterator]();
    for (let part = await next(); part.done !== true; part = await next()) yield part.value;
    ended = true;
  } catch (thrown) {
    ended = true;
    throw new CatgaError(over ?? faultFor(thrown));
  } finally {
    stop();
    if (!ended) context.cancel(cancelledFault(context.contract.type));
    leave(iterator);
  }
}

/** Lets a handler's iterator go. What it does then is its own affair. */
function leave(iterator: AsyncIterator<unknown> | undefined): void {
  try {
    Promise.resolve(iterator?.return?.()).catch(() => {});
  } catch {
    // A reader who leaves is not to be told.
  }
}

/** A stream that fails when it is first asked. */
// deno-lint-ignore require-yield
export async function* broken(fault: Fault): AsyncGenerator<never, void, undefined> {
  throw new CatgaError(fault);
}
