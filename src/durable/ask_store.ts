import { CatgaError, systemFault } from "../result.ts";
import type { EndSignal } from "../internal/ending.ts";
import type { Clock } from "../ports/runtime.ts";

/** What is asked, as messages call it. */
export type Asked = "store" | "queue" | "event store";

/** How long a store may take. */
export interface AskOptions {
  readonly clock: Pick<Clock, "timer">;
  /** In ms; then it counts as `TRANSPORT`: what was asked for may have been done, or may be later. */
  readonly limit: number;
  readonly signal: EndSignal | undefined;
  /** @default "store" */
  readonly asked?: Asked | undefined;
}

/** Asks a store or its like, but waits no longer than so many ms, whatever the store does with its signal. */
export function askStore<T>(options: AskOptions, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, limit, signal, asked: name = "store" } = options;
  return new Promise((resolve, reject) => {
    const asked = new AbortController();
    const leave = (): void => {
      stop();
      signal?.removeEventListener("abort", cancel);
    };
    const giveUp = (code: "TRANSPORT" | "CANCELLED", message: string): void => {
      leave();
      const error = new CatgaError(systemFault(code, message));
      reject(error);
      asked.abort(error);
    };
    const cancel = (): void => giveUp("CANCELLED", `Nobody waits any longer for the ${name}`);
    const stop = clock.timer(
      limit,
      () => giveUp("TRANSPORT", `The ${name} did not answer within ${Math.round(limit)} ms`),
    );
    if (signal?.aborted) return cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    const fail = (thrown: unknown): void => {
      leave();
      reject(thrown);
    };
    try {
      ask(asked.signal).then((answer) => {
        leave();
        resolve(answer);
      }, fail);
    } catch (thrown) {
      fail(thrown);
    }
  });
}
