import { type Alarm, type QueueGroup, type QueueWaiter, SILENT } from "../../src/internal/queue_group.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { queueCancelled } from "../../src/ports/queue_faults.ts";

/** How long to wait at least before an item that should be due is looked for again, in ms. */
const SHORTEST = 1;

/** Those who wait for items of a group. */
export class QueueWaits {
  readonly #group: QueueGroup;
  readonly #clock: Clock;
  readonly #open: () => boolean;
  #alarm: Alarm = SILENT;

  /** @param open whether anything may be handed out just now */
  constructor(group: QueueGroup, clock: Clock, open: () => boolean) {
    this.#group = group;
    this.#clock = clock;
    this.#open = open;
  }

  /** Waits until there may be something to take, the time is over, or nobody can take anything any more. */
  wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const group = this.#group;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        stop();
        signal?.removeEventListener("abort", cancel);
        group.waiters.delete(waiter);
        group.seen(this.#clock.mono());
      };
      const waiter: QueueWaiter = {
        take: () => {
          leave();
          resolve();
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const cancel = (): void => waiter.fail(queueCancelled("pull"));
      const stop = this.#clock.timer(ms, () => waiter.take());
      signal?.addEventListener("abort", cancel, { once: true });
      group.waiters.add(waiter);
      this.serve();
    });
  }

  /** Wakes the one who has waited longest when there is something; it looks after the others. */
  serve(): void {
    const group = this.#group;
    if (group.waiters.size === 0 || !this.#open()) return;
    const now = this.#clock.mono();
    if (group.hasReady(now)) {
      for (const waiter of group.waiters) return waiter.take();
    }
    const next = group.nextTime();
    if (next === Infinity || this.#alarm.time <= next) return;
    this.#alarm.stop();
    const look = (): void => {
      this.#alarm = SILENT;
      this.serve();
    };
    this.#alarm = { time: next, stop: this.#clock.timer(Math.max(next - now, SHORTEST), look) };
  }

  fail(error: Error): void {
    this.#alarm.stop();
    this.#alarm = SILENT;
    for (const waiter of [...this.#group.waiters]) waiter.fail(error);
  }
}
