import { type QueueEntry, type QueueGroup, type QueueWaiter, SILENT } from "../internal/queue_group.ts";
import { type QueueLimits, QueueTable } from "../internal/queue_table.ts";
import type {
  Delivery,
  PullOptions,
  Queue,
  QueueBacklog,
  QueueItem,
  QueueOptions,
  SubscribeOptions,
} from "./queue.ts";
import { checkGroup, checkIdle, checkPull, checkPush } from "./queue_faults.ts";
import { leaseOver, noGroup, queueCancelled, queueFull } from "./queue_faults.ts";
import type { Clock } from "./runtime.ts";
import { TableDelivery } from "./table_delivery.ts";

/** How long to wait at least before an item that should be due is looked for again, in ms. */
const SHORTEST = 0.1;

/** How much a queue takes. */
export interface TableQueueLimits extends QueueLimits {
  /** How many may wait for items at a time. */
  readonly waits: number;
}

/** A queue on a table: what the memory and the simulated queue are. */
export class TableQueue implements Queue {
  readonly ordered = true;
  readonly window: number;
  readonly #clock: Clock;
  readonly table: QueueTable;
  readonly #waits: number;
  #waiting = 0;

  constructor(clock: Clock, limits: TableQueueLimits) {
    this.window = limits.window;
    this.#clock = clock;
    this.table = new QueueTable(limits);
    this.#waits = limits.waits;
  }

  push(topic: string, items: readonly QueueItem[], options?: QueueOptions): Promise<void> {
    return soon(options, "push to", topic, () => {
      checkPush(topic, items);
      const groups = this.table.push(this.#clock.mono(), this.#clock.wall(), topic, items);
      if (groups === "full") throw queueFull(`push to "${topic}"`, "the queue is full");
      for (const group of groups) if (group.waiters.size > 0) this.#serve(group);
    });
  }

  subscribe(topic: string, name: string, options: SubscribeOptions = {}): Promise<void> {
    return soon(options, "subscribe to", topic, () => {
      checkGroup(topic, name);
      checkIdle(name, options.idle);
      if (this.table.subscribe(this.#clock.mono(), topic, name, options.idle)) return;
      throw queueFull(`subscribe "${name}" to "${topic}"`, "the queue has as many groups as it may");
    });
  }

  unsubscribe(topic: string, name: string, options?: QueueOptions): Promise<void> {
    return soon(options, "unsubscribe from", topic, () => {
      checkGroup(topic, name);
      const group = this.table.end(topic, name);
      if (group === undefined) return;
      for (const waiter of group.waiters) waiter.fail(noGroup(topic, name));
    });
  }

  pull(topic: string, name: string, options: PullOptions): Promise<readonly Delivery[]> {
    return soon(options, "pull from", topic, () => {
      checkPull(topic, name, options);
      const { max, lease, wait = 0 } = options;
      const now = this.#clock.mono();
      const group = this.#group(now, topic, name);
      const taken = this.#take(group, now, max, lease);
      return taken.length > 0 || wait === 0 ? taken : this.#wait(group, topic, name, options);
    });
  }

  backlog(topic: string, name: string, options?: QueueOptions): Promise<QueueBacklog> {
    return soon(options, "look at", topic, () => {
      checkGroup(topic, name);
      const now = this.#clock.mono();
      const group = this.#group(now, topic, name);
      return { items: group.size, leased: group.leasedAt(now), age: now - (group.oldest?.since ?? now) };
    });
  }

  /** Changes an entry for who took it at that attempt, if it is still in those hands. */
  change(
    group: QueueGroup,
    entry: QueueEntry,
    attempt: number,
    verb: string,
    change: (now: number) => void,
  ): void {
    const now = this.#clock.mono();
    if (!entry.isHeld(attempt, now)) throw leaseOver(verb, entry.item.id);
    change(now);
    if (group.waiters.size > 0) this.#serve(group);
  }

  #take(group: QueueGroup, now: number, max: number, lease: number): Delivery[] {
    const taken = group.take(now, max, lease);
    const deliveries: Delivery[] = [];
    for (const entry of taken) deliveries.push(new TableDelivery(this, group, entry));
    return deliveries;
  }

  /** Gives those who wait what there is, and looks again when there is more. */
  #serve(group: QueueGroup): void {
    const now = this.#clock.mono();
    for (const waiter of group.waiters) {
      if (!group.hasReady(now)) break;
      waiter.take();
    }
    const next = group.waiters.size > 0 ? group.nextTime() : Infinity;
    // One that comes too early only looks once more.
    if (next === Infinity || group.alarm.time <= next) return;
    group.alarm.stop();
    const look = (): void => {
      group.alarm = SILENT;
      this.#serve(group);
    };
    group.alarm = { time: next, stop: this.#clock.timer(Math.max(next - now, SHORTEST), look) };
  }

  #group(now: number, topic: string, name: string): QueueGroup {
    const group = this.table.group(now, topic, name);
    if (group === undefined) throw noGroup(topic, name);
    return group;
  }

  #wait(group: QueueGroup, topic: string, name: string, options: PullOptions): Promise<readonly Delivery[]> {
    if (this.#waiting >= this.#waits) {
      throw queueFull(`wait for "${name}" of "${topic}"`, `${this.#waits} wait already, as many as may`);
    }
    const { max, lease, wait = 0, signal } = options;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        stop();
        signal?.removeEventListener("abort", cancel);
        this.#waiting--;
        group.waiters.delete(waiter);
        group.seen(this.#clock.mono());
        if (group.waiters.size > 0) return;
        group.alarm.stop();
        group.alarm = SILENT;
      };
      const waiter: QueueWaiter = {
        take: () => {
          leave();
          resolve(this.#take(group, this.#clock.mono(), max, lease));
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const cancel = (): void => waiter.fail(queueCancelled(`pull from "${topic}"`));
      const stop = this.#clock.timer(wait, () => {
        leave();
        resolve([]);
      });
      signal?.addEventListener("abort", cancel, { once: true });
      this.#waiting++;
      group.waiters.add(waiter);
      this.#serve(group);
    });
  }
}

function soon<T>(
  options: QueueOptions | undefined,
  verb: string,
  topic: string,
  work: () => T | Promise<T>,
): Promise<T> {
  if (options?.signal?.aborted) return Promise.reject(queueCancelled(`${verb} "${topic}"`));
  try {
    return Promise.resolve(work());
  } catch (thrown) {
    return Promise.reject(thrown);
  }
}
