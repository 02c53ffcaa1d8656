import { Fifo } from "./fifo.ts";
import { type Timed, TimeHeap } from "./time_heap.ts";

/** What was pushed, once for all groups that have it. */
export interface KeptItem {
  readonly id: string;
  readonly key: string | undefined;
  payload: string | Uint8Array;
  /** In ms since 1970. */
  readonly pushed: number;
  /** When it was pushed and when it is due, by the clock that delays and leases go by. */
  readonly since: number;
  readonly due: number;
  /** In bytes. */
  readonly size: number;
  /** How many groups still have it. */
  holders: number;
}

/** Somebody who waits for an item. */
export interface QueueWaiter {
  /** There is one. */
  take(): void;
  /** There will be none. */
  fail(error: Error): void;
}

/** What looks after waiters when the next item is due. */
export interface Alarm {
  readonly time: number;
  readonly stop: () => void;
}

/** The alarm where nobody waits. */
export const SILENT: Alarm = { time: Infinity, stop: () => {} };

/** An item as one group has it. */
export class QueueEntry implements Timed {
  readonly item: KeptItem;
  readonly sequence: number;
  time: number = 0;
  place: number = -1;
  attempt: number = 0;
  /** `kept`: until its time, by delay, retry or key; `ready`: to be taken; `leased`: until its time; `done`: no more. */
  state: "kept" | "ready" | "leased" | "done" = "kept";
  /** The next one with its key. */
  behind: QueueEntry | undefined = undefined;
  older: QueueEntry | undefined = undefined;
  newer: QueueEntry | undefined = undefined;

  constructor(item: KeptItem, sequence: number) {
    this.item = item;
    this.sequence = sequence;
  }

  /** Whether it is in the hands of who took it at that attempt. */
  isHeld(attempt: number, now: number): boolean {
    return this.state === "leased" && this.attempt === attempt && this.time > now;
  }
}

/** A group's items. Times are ms of its owner's clock, which never goes back. */
export class QueueGroup {
  readonly waiters: Set<QueueWaiter> = new Set();
  alarm: Alarm = SILENT;
  size: number = 0;
  #leased: number = 0;
  #idle: number = Infinity;
  #seen: number = 0;
  #sequence: number = 0;
  #oldest: QueueEntry | undefined = undefined;
  #newest: QueueEntry | undefined = undefined;
  readonly #ready: Fifo<QueueEntry> = new Fifo();
  /** Those that are kept back and whose time will come, and those that are leased. */
  readonly #timed: TimeHeap<QueueEntry> = new TimeHeap();
  /** The last one of each key. */
  readonly #tails: Map<string, QueueEntry> = new Map();

  /** The oldest item that is not done with. */
  get oldest(): KeptItem | undefined {
    return this.#oldest?.item;
  }

  subscribed(now: number, idle: number | undefined): void {
    this.#idle = idle ?? Infinity;
    this.seen(now);
  }

  /** Somebody was there, or will have been until then. */
  seen(time: number): void {
    if (time > this.#seen) this.#seen = time;
  }

  isIdle(now: number): boolean {
    return this.#seen + this.#idle <= now && this.waiters.size === 0;
  }

  add(item: KeptItem, now: number): void {
    this.#ripen(now);
    const entry = new QueueEntry(item, this.#sequence++);
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    this.size++;
    const { key } = item;
    if (key !== undefined) {
      const tail = this.#tails.get(key);
      this.#tails.set(key, entry);
      if (tail !== undefined) {
        tail.behind = entry;
        return;
      }
    }
    this.#offer(entry, item.due, now);
  }

  /** Whether there is something to take. */
  hasReady(now: number): boolean {
    this.#ripen(now);
    return this.#ready.size > 0;
  }

  leasedAt(now: number): number {
    this.#ripen(now);
    return this.#leased;
  }

  /** When there may be something to take that is not there yet. */
  nextTime(): number {
    return this.#timed.first?.time ?? Infinity;
  }

  take(now: number, max: number, lease: number): QueueEntry[] {
    const taken: QueueEntry[] = [];
    this.seen(now);
    this.#ripen(now);
    while (taken.length < max) {
      const entry = this.#ready.shift();
      if (entry === undefined) break;
      entry.attempt++;
      entry.state = "leased";
      entry.time = now + lease;
      this.#timed.add(entry);
      taken.push(entry);
    }
    if (taken.length > 0) this.seen(now + lease);
    this.#leased += taken.length;
    return taken;
  }

  /** It is done with; it must be held. */
  finish(entry: QueueEntry, now: number): void {
    this.#release(entry, now);
    entry.state = "done";
    this.size--;
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    const { behind, item: { key } } = entry;
    if (behind !== undefined) this.#offer(behind, behind.item.due, now);
    else if (key !== undefined) this.#tails.delete(key);
  }

  /** It is given back; it must be held. */
  giveBack(entry: QueueEntry, now: number, delay: number): void {
    this.#release(entry, now);
    this.#offer(entry, now + delay, now);
  }

  /** It is held until then; it must be held. */
  extend(entry: QueueEntry, now: number, lease: number): void {
    this.#timed.remove(entry);
    entry.time = now + lease;
    this.#timed.add(entry);
    this.seen(entry.time);
  }

  /** All its items, oldest first. */
  *entries(): Iterable<QueueEntry> {
    for (let entry = this.#oldest; entry !== undefined; entry = entry.newer) yield entry;
  }

  #release(entry: QueueEntry, now: number): void {
    this.seen(now);
    this.#ripen(now);
    this.#timed.remove(entry);
    this.#leased--;
  }

  #offer(entry: QueueEntry, due: number, now: number): void {
    if (due <= now) {
      entry.state = "ready";
      this.#ready.push(entry);
      return;
    }
    entry.state = "kept";
    entry.time = due;
    this.#timed.add(entry);
  }

  /** What was kept back or leased until now is ready. */
  #ripen(now: number): void {
    for (let { first } = this.#timed; first !== undefined && first.time <= now; { first } = this.#timed) {
      this.#timed.remove(first);
      if (first.state === "leased") this.#leased--;
      first.state = "ready";
      this.#ready.push(first);
    }
  }
}
