import { CatgaError, type Fault } from "../result.ts";
import type { MessageContext } from "./context.ts";
import { cancelledFault, timeoutFault } from "./supervise.ts";
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
  const opened = await step(context);
  if (!opened.ok) throw new CatgaError(opened.error);
  const answers = opened.value as AsyncIterable<unknown> | null | undefined;
  if (typeof answers?.[Symbol.asyncIterator] !== "function") {
    const thrown = new TypeError(
      `Cannot stream "${context.contract.type}": the handler gave no async iterable`,
    );
    throw new CatgaError(faultFor(thrown));
  }
  const iterator = answers[Symbol.asyncIterator]();
  const limit = new Limit(context, deadline, clock);
  try {
    while (true) {
      const next = await limit.race(iterator.next());
      if (next.done === true) return;
      yield next.value;
    }
  } catch (thrown) {
    throw new CatgaError(faultFor(thrown));
  } finally {
    limit.end();
    void iterator.return?.()?.then(undefined, () => {});
  }
}

/** Ends a wait when the call is given up or out of time. */
class Limit {
  readonly #stops: (() => void)[] = [];
  #fault: Fault | undefined;
  #give: ((fault: Fault) => void) | undefined;

  constructor(context: MessageContext, deadline: number, clock: Clock) {
    const { type } = context.contract;
    const parent = context.origin?.parent;
    const signals = [context.origin?.signal, parent?.cancellable ? parent.signal : undefined];
    const giveUp = (fault: Fault): void => {
      this.#fault ??= fault;
      context.cancel(fault);
      this.#give?.(fault);
    };
    const abort = (): void => giveUp(cancelledFault(type));
    for (const signal of signals) {
      if (signal === undefined) continue;
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort, { once: true });
      this.#stops.push(() => signal.removeEventListener("abort", abort));
    }
    if (deadline !== Infinity) {
      this.#stops.push(clock.timer(deadline - clock.mono(), () => giveUp(timeoutFault(type))));
    }
  }

  race<T>(wait: Promise<T>): Promise<T> {
    if (this.#fault !== undefined) {
      void wait.catch(() => {});
      return Promise.reject(new CatgaError(this.#fault));
    }
    if (this.#stops.length === 0) return wait;
    return new Promise((resolve, reject) => {
      this.#give = (fault) => reject(new CatgaError(fault));
      wait.then(resolve, reject);
    });
  }

  end(): void {
    for (const stop of this.#stops) stop();
  }
}

/** A stream that fails when it is first asked. */
// deno-lint-ignore require-yield
export async function* broken(fault: Fault): AsyncGenerator<never, void, undefined> {
  throw new CatgaError(fault);
}
