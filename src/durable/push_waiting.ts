import { failure, type Fault, type Result, systemFault } from "../result.ts";
import type { QueueItem } from "../ports/queue.ts";

/** How a push ended, for one item of it. */
export type Pushed = Result<void, Fault>;

/** How many wait. */
export interface PushCount {
  waiting: number;
}

/** An item on its way into a queue, and who waits for it. */
export interface Waiting {
  readonly item: QueueItem;
  /** When to give up, by the runtime's `clock.mono()`, in ms. */
  readonly deadline: number;
  readonly resolve: (pushed: Pushed) => void;
  /** Those that it is one of. */
  readonly count: PushCount | undefined;
  /** It is stored, or nobody waits for it any longer. */
  isOver: boolean;
  /** Is called when it is given up by a signal. */
  leave: (() => void) | undefined;
  /** Ends listening to its signals. */
  deafen: (() => void) | undefined;
}

/** Waits for an item until one of the signals aborts. */
export function waitFor(
  topic: string,
  item: QueueItem,
  deadline: number,
  signals: readonly AbortSignal[],
  resolve: (pushed: Pushed) => void,
  count?: PushCount,
): Waiting {
  const waiting: Waiting = {
    item,
    deadline,
    resolve,
    count,
    isOver: false,
    leave: undefined,
    deafen: undefined,
  };
  if (count !== undefined) count.waiting++;
  if (signals.length > 0) heed(topic, waiting, signals);
  return waiting;
}

/** Says what came of it, unless that was said already. */
export function settle(waiting: Waiting, pushed: Pushed): void {
  if (waiting.isOver) return;
  waiting.isOver = true;
  if (waiting.count !== undefined) waiting.count.waiting--;
  waiting.deafen?.();
  waiting.resolve(pushed);
}

function heed(topic: string, waiting: Waiting, signals: readonly AbortSignal[]): void {
  const cancel = (): void => {
    settle(waiting, failure(systemFault("CANCELLED", `"${topic}" was given up; it may be stored`)));
    waiting.leave?.();
  };
  if (signals.some((signal) => signal.aborted)) return cancel();
  for (const signal of signals) signal.addEventListener("abort", cancel, { once: true });
  waiting.deafen = () => {
    // One that has aborted lets go by itself; many publishes may have it in common.
    for (const signal of signals) if (!signal.aborted) signal.removeEventListener("abort", cancel);
  };
}
