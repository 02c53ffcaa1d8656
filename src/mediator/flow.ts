import { CatgaError, type Fault } from "../result.ts";
import type { MessageContext } from "./context.ts";
import { watchLimits } from "./supervise.ts";
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
  try {
    const opened = await limited(step(context));
    if (!opened.ok) throw new CatgaError(over = opened.error);
    const answers = opened.value as AsyncIterable<unknown> | null | undefined;
    if (typeof answers?.[Symbol.asyncIterator] !== "function") {
      throw new TypeError(`Cannot stream "${context.contract.type}": the handler gave no async iterable`);
    }
    iterator = answers[Symbol.asyncIterator]();
    for (
      let next = await limited(iterator.next());
      next.done !== true;
      next = await limited(iterator.next())
    ) {
      yield next.value;
    }
  } catch (thrown) {
    throw new CatgaError(over ?? faultFor(thrown));
  } finally {
    stop();
    void iterator?.return?.()?.then(undefined, () => {});
  }
}

/** A stream that fails when it is first asked. */
// deno-lint-ignore require-yield
export async function* broken(fault: Fault): AsyncGenerator<never, void, undefined> {
  throw new CatgaError(fault);
}
