import type { Fault, Result } from "../result.ts";
import type { Answerable, Publishable } from "../message/message.ts";
import type { BatchOptions, Results } from "./types.ts";

/** How many calls of a batch are under way at once, if nothing else is said. */
export const CONCURRENCY = 1024;

/** Runs one call per item, at most so many at once, and keeps the results in order. The calls must not reject. */
export function each<T, R>(
  run: (item: T) => Promise<R>,
  items: readonly T[],
  concurrency: number = CONCURRENCY,
): Promise<R[]> {
  if (!(concurrency >= 1)) {
    throw new RangeError(`Cannot run a batch: concurrency is ${concurrency}, but must be 1 or more`);
  }
  if (items.length <= concurrency) return Promise.all(items.map(run));
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      results[at] = await run(items[at]!);
    }
  };
  return Promise.all(Array.from({ length: concurrency }, worker)).then(() => results);
}

/** What each message of a batch is sent with; `undefined` if that is nothing, which is the cheaper way. */
export function limitsOf(options: BatchOptions | undefined): BatchOptions | undefined {
  if (options === undefined) return undefined;
  const { signal, timeout, headers, route } = options;
  const isBare = signal === undefined && timeout === undefined && headers === undefined &&
    route === undefined;
  return isBare ? undefined : options;
}

/** {@linkcode each} for messages that are answered. */
export function sendEach<const M extends readonly Answerable[]>(
  send: (message: Answerable) => Promise<Result<unknown, Fault>>,
  messages: M,
  options: BatchOptions | undefined,
): Promise<Results<M>> {
  return each(send, messages, options?.concurrency) as Promise<unknown> as Promise<Results<M>>;
}

/** {@linkcode each} for events. */
export function publishEach(
  publish: (event: Publishable) => Promise<Result<void>>,
  events: readonly Publishable[],
  options: BatchOptions | undefined,
): Promise<Result<void>[]> {
  return each(publish, events, options?.concurrency);
}

/**
 * Makes results of what many handlers answered, all of them started. The usual way costs one native wait for all;
 * only when one rejects are they looked at one by one.
 *
 * @param settled makes a result of what a handler returned
 * @param failed makes one of what it threw
 */
export async function settleAll(
  answers: readonly unknown[],
  settled: (value: unknown) => Result<unknown, Fault>,
  failed: (at: number, thrown: unknown) => Result<unknown, Fault>,
): Promise<Result<unknown, Fault>[]> {
  let values: unknown[];
  try {
    values = await Promise.all(answers);
  } catch {
    const outcomes = answers.map((answer, at) =>
      Promise.resolve(answer).then(settled, (thrown) => failed(at, thrown))
    );
    return Promise.all(outcomes);
  }
  for (let at = 0; at < values.length; at++) values[at] = settled(values[at]);
  return values as Result<unknown, Fault>[];
}
