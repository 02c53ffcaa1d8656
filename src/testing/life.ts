import type { QueuedEvent } from "./event_queue.ts";
import type { MachineClock, SimulatedClock } from "./simulated_clock.ts";

/** A node of a simulation through all its lives. */
export class SimulatedHost {
  readonly name: string;
  /** Counts the hosts of a simulation, in the order in which they were first named. */
  readonly index: number;
  life: Life;
  /** Set when its first life begins. */
  clock: MachineClock | undefined;
  paused: boolean = false;
  /** What fell due while it was paused, in order. */
  readonly deferred: QueuedEvent[] = [];

  constructor(name: string, index: number) {
    this.name = name;
    this.index = index;
    this.life = new Life(this, 0);
    this.life.alive = false;
  }
}

/** One life of a node, from its start to its crash. What belongs to it happens no more once it has ended. */
export class Life {
  readonly host: SimulatedHost;
  /** 1 for the first life of a node, and one more for each that follows. */
  readonly incarnation: number;
  alive: boolean = true;
  /** Set when it begins. */
  clock: SimulatedClock | undefined;
  /** Timers that are running. */
  timers: number = 0;
  /** Pieces of background work that have not settled. */
  background: number = 0;

  constructor(host: SimulatedHost, incarnation: number) {
    this.host = host;
    this.incarnation = incarnation;
  }
}
