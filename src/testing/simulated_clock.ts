import type { Clock } from "../ports/runtime.ts";
import type { QueuedEvent } from "./event_queue.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "./random.ts";

/** What a simulated clock needs of its simulation. */
export interface ClockDriver {
  /** Virtual time in ms since the simulation began. */
  readonly time: number;
  /** Plans something for a node's life at a time. */
  plan(life: Life, time: number, run: () => void): QueuedEvent;
  cancel(event: QueuedEvent): void;
  /** A timer of a node has run. */
  timerRan(life: Life): void;
}

/** How the clock of one life of a node goes. */
export interface ClockSetting {
  /** What the monotonic clock shows when this life begins, in ms. */
  readonly mono: number;
  /** How late a timer runs at most, in ms. */
  readonly lateness: number;
}

/** The wall clock of a machine, and the pace of all its clocks: it keeps both over a crash of the process. */
export class MachineClock {
  /** How much faster than virtual time its clocks go: 0.001 is 1 ms more each second. */
  drift: number;
  #shown: number;
  #since = 0;

  /** @param wall what it shows when the simulation begins, in ms since 1970 */
  constructor(wall: number, drift: number) {
    this.#shown = wall;
    this.drift = drift;
  }

  /** What it shows at a virtual time, in ms since 1970. */
  at(time: number): number {
    return this.#shown + (time - this.#since) * (1 + this.drift);
  }

  /** From a virtual time on it shows something else, or goes at another pace. */
  set(time: number, wall: number, drift: number): void {
    this.#shown = wall;
    this.#since = time;
    this.drift = drift;
  }
}

/** Virtual time goes in steps of this many parts of a ms. */
const STEPS = 1000;

interface Timer {
  /** By the monotonic clock, in ms. */
  readonly due: number;
  readonly run: () => void;
  event: QueuedEvent | undefined;
}

/** The clock of one life of a node. */
export class SimulatedClock implements Clock {
  readonly #driver: ClockDriver;
  readonly #life: Life;
  readonly #machine: MachineClock;
  readonly #random: SeededRandom;
  readonly #lateness: number;
  readonly #timers: Set<Timer> = new Set();
  #shown: number;
  #since: number;
  #pace: number;

  constructor(
    driver: ClockDriver,
    life: Life,
    machine: MachineClock,
    setting: ClockSetting,
    random: SeededRandom,
  ) {
    this.#driver = driver;
    this.#life = life;
    this.#machine = machine;
    this.#random = random;
    this.#lateness = setting.lateness;
    this.#shown = setting.mono;
    this.#since = driver.time;
    this.#pace = 1 + machine.drift;
  }

  mono(): number {
    return this.#shown + (this.#driver.time - this.#since) * this.#pace;
  }

  wall(): number {
    return Math.floor(this.#machine.at(this.#driver.time));
  }

  timer(ms: number, run: () => void): () => void {
    const late = this.#lateness * this.#random.fraction();
    const wait = ms > 0 ? ms + late : late;
    if (!this.#life.alive || wait === Infinity) return () => {};
    const timer: Timer = { due: this.mono() + wait, run, event: undefined };
    this.#timers.add(timer);
    this.#life.timers++;
    this.#plan(timer);
    return () => {
      if (!this.#timers.has(timer)) return;
      this.#forget(timer);
      this.#driver.cancel(timer.event!);
    };
  }

  /** Takes over the pace of its machine: time that has passed stays as it is, timers come by the new pace. */
  keepPace(): void {
    this.#shown = this.mono();
    this.#since = this.#driver.time;
    this.#pace = 1 + this.#machine.drift;
    for (const timer of this.#timers) {
      // What is due already keeps its place.
      if (timer.due <= this.#shown) continue;
      this.#driver.cancel(timer.event!);
      this.#plan(timer);
    }
  }

  #plan(timer: Timer): void {
    const time = Math.max(this.#timeOf(timer.due), this.#driver.time);
    timer.event = this.#driver.plan(this.#life, time, () => {
      this.#forget(timer);
      this.#driver.timerRan(this.#life);
      timer.run();
    });
  }

  #forget(timer: Timer): void {
    this.#timers.delete(timer);
    this.#life.timers--;
  }

  /** The first step of virtual time at which this clock shows no less. */
  #timeOf(due: number): number {
    const time = Math.ceil((this.#since + (due - this.#shown) / this.#pace) * STEPS) / STEPS;
    const shown = this.#shown + (time - this.#since) * this.#pace;
    return shown < due ? time + 1 / STEPS : time;
  }
}
