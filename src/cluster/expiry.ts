import type { Clock } from "../ports/runtime.ts";

/** Something with a deadline by the runtime's `clock.mono()`, in ms. */
export interface Expiring {
  readonly deadline: number;
}

/**
 * Watches the deadlines of a group with one timer; most groups are done before it fires.
 *
 * @param isPending whether somebody still waits for an item
 * @param expire called once for each item that is pending at its deadline
 * @returns a function that calls the watch off
 */
export function watchDeadlines<T extends Expiring>(
  clock: Clock,
  group: readonly T[],
  isPending: (item: T) => boolean,
  expire: (item: T) => void,
): () => void {
  let stop: (() => void) | undefined;
  const arm = (): void => {
    let next = Infinity;
    for (const item of group) if (isPending(item) && item.deadline < next) next = item.deadline;
    stop = next === Infinity ? undefined : clock.timer(Math.max(next - clock.mono(), 0), fire);
  };
  const fire = (): void => {
    const now = clock.mono();
    for (const item of group) if (isPending(item) && item.deadline <= now) expire(item);
    arm();
  };
  arm();
  return () => stop?.();
}
