import type { Clock } from "../ports/runtime.ts";

/** Something with a deadline by the runtime's `clock.mono()`, in ms. */
export interface Expiring {
  readonly deadline: number;
  readonly settled: boolean;
  expire(): void;
}

/**
 * Watches the deadlines of a group with one timer; most groups are done before it fires.
 *
 * @returns a function that calls the watch off
 */
export function watchDeadlines(clock: Clock, group: readonly Expiring[]): () => void {
  let stop: (() => void) | undefined;
  const arm = (): void => {
    let next = Infinity;
    for (const item of group) if (!item.settled && item.deadline < next) next = item.deadline;
    stop = next === Infinity ? undefined : clock.timer(Math.max(next - clock.mono(), 0), fire);
  };
  const fire = (): void => {
    const now = clock.mono();
    for (const item of group) if (!item.settled && item.deadline <= now) item.expire();
    arm();
  };
  arm();
  return () => stop?.();
}
