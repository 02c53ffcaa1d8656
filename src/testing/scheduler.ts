import type { Drain } from "./drain.ts";
import { EventQueue, type QueuedEvent } from "./event_queue.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "./random.ts";

/** How many events one run may take; more is a loop that never lets time pass. */
const EVENTS = 50_000_000;

/** Lets virtual time pass: one event after the other, and all microtasks after each. */
export class Scheduler {
  /** Virtual time in ms since the simulation began. */
  time: number = 0;
  /** How many events have happened. */
  count: number = 0;
  readonly #queue: EventQueue = new EventQueue();
  readonly #random: SeededRandom;
  readonly #drain: Drain;
  #running = false;

  constructor(random: SeededRandom, drain: Drain) {
    this.#random = random;
    this.#drain = drain;
  }

  /** How many events are planned. */
  get planned(): number {
    return this.#queue.size;
  }

  /** Plans something at a time, for a node's life or for the simulation itself. */
  plan(life: Life | undefined, time: number, run: () => void): QueuedEvent {
    return this.#queue.push(Math.max(time, this.time), this.#random.u32(), life, run);
  }

  cancel(event: QueuedEvent): void {
    this.#queue.cancel(event);
  }

  /** Lets happen now, in order, what a pause held back. */
  release(events: readonly QueuedEvent[]): void {
    this.#queue.postpone(events, this.time);
  }

  /**
   * Goes on until a time, or until a condition holds after an event.
   *
   * @returns whether the condition held
   */
  async advance(until: number, condition: () => boolean): Promise<boolean> {
    if (this.#running) throw new Error("Cannot run the simulation: it is running already");
    this.#running = true;
    try {
      await this.#drain();
      if (condition()) return true;
      const last = this.count + EVENTS;
      for (let time = this.#queue.nextTime(); time <= until; time = this.#queue.nextTime()) {
        this.time = time;
        if (!this.#happen(this.#queue.next())) continue;
        const drained = this.#drain();
        if (drained !== undefined) await drained;
        if (condition()) return true;
        if (this.count > last) {
          throw new Error(`Cannot go on: ${EVENTS} events and time stands at ${time} ms`);
        }
      }
      this.time = until;
      return false;
    } finally {
      this.#running = false;
    }
  }

  /** Whether an event came to pass: not to a dead node, and later to one that stands still. */
  #happen(event: QueuedEvent): boolean {
    const { life } = event;
    if (life !== undefined && !life.alive) return false;
    if (life?.host.paused) {
      life.host.deferred.push(event);
      return false;
    }
    this.count++;
    event.run!();
    return true;
  }
}
