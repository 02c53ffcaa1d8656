import type { Life } from "./life.ts";

/** Something that will happen. */
export interface QueuedEvent {
  /** When, in ms of virtual time. */
  time: number;
  /** Puts events of the same time into a random order that depends on the seed. */
  tie: number;
  /** Which was planned first, for events whose tie is the same. */
  sequence: number;
  /** The life of a node that it belongs to; it does not happen to a dead one. */
  readonly life: Life | undefined;
  /** What happens; `undefined` once it was called off. */
  run: (() => void) | undefined;
  /** Whether it is in the queue. */
  queued: boolean;
}

/** What will happen, the next one first: a binary heap by time, then tie, then sequence. */
export class EventQueue {
  #heap: QueuedEvent[] = [];
  #sequence = 0;
  #cancelled = 0;

  /** How many events are planned. */
  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  push(time: number, tie: number, life: Life | undefined, run: () => void): QueuedEvent {
    const event: QueuedEvent = { time, tie, sequence: this.#sequence++, life, run, queued: true };
    this.#add(event);
    return event;
  }

  /** Plans events that were taken out once more, at another time and in this order. */
  postpone(events: readonly QueuedEvent[], time: number): void {
    for (const event of events) {
      if (event.run === undefined) continue;
      event.time = time;
      event.tie = 0;
      event.sequence = this.#sequence++;
      event.queued = true;
      this.#add(event);
    }
  }

  /** Calls an event off. Its place is given back when its time comes, or when such places are the most. */
  cancel(event: QueuedEvent): void {
    if (event.run === undefined) return;
    event.run = undefined;
    if (event.queued && ++this.#cancelled > 64 && this.#cancelled > this.#heap.length / 2) this.#sweep();
  }

  /** The time of the next event, in ms; `Infinity` when there is none. */
  nextTime(): number {
    while (this.#heap.length > 0 && this.#heap[0]!.run === undefined) {
      this.#take();
      this.#cancelled--;
    }
    return this.#heap.length > 0 ? this.#heap[0]!.time : Infinity;
  }

  /** Takes the next event out; there must be one. */
  next(): QueuedEvent {
    if (this.nextTime() === Infinity) throw new RangeError("Cannot take an event: nothing is planned");
    return this.#take();
  }

  #add(event: QueuedEvent): void {
    this.#heap.push(event);
    this.#rise(this.#heap.length - 1);
  }

  #take(): QueuedEvent {
    const heap = this.#heap;
    const first = heap[0]!;
    first.queued = false;
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink(0);
    }
    return first;
  }

  #sweep(): void {
    this.#heap = this.#heap.filter((event) => event.run !== undefined);
    this.#cancelled = 0;
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  #rise(at: number): void {
    const heap = this.#heap;
    const event = heap[at]!;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #sink(at: number): void {
    const heap = this.#heap;
    const event = heap[at]!;
    for (let child = 2 * at + 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, event)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = event;
  }
}

function isBefore(a: QueuedEvent, b: QueuedEvent): boolean {
  if (a.time !== b.time) return a.time < b.time;
  return a.tie !== b.tie ? a.tie < b.tie : a.sequence < b.sequence;
}
