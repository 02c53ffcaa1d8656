import type { Clock } from "../../src/ports/runtime.ts";

/** How far the file's clock may be from the machine's and still be kept to, in ms: more is a machine that woke up. */
const FAR = 24 * 3_600_000;
/** Below this it counts as right, in ms. */
const NEAR = 1000;
/** How much faster or slower it may go to become right. */
const SLEW = 0.005;

/** What a file holds of its clock: what it showed, and what the machine's did then. */
export interface ClockMark {
  readonly clock: number;
  readonly wall: number;
}

/**
 * The clock of a file, which all processes that have it open share. It goes by the monotonic clock of each, the one that
 * is ahead of the others counts, and it never goes back. The machine's clock is read when a file is opened, and
 * understood by how far the two were apart before: when it jumps no time to live ends early or late, as long as one
 * process goes on. What they are apart becomes less by 5 ms a second.
 */
export class StoreClock {
  readonly #clock: Pick<Clock, "mono" | "wall">;
  /** What the monotonic clock is behind. */
  #ahead: number;
  #met: number;
  #apart: number;

  constructor(clock: Pick<Clock, "mono" | "wall">, mark: ClockMark | undefined) {
    this.#clock = clock;
    const [mono, wall] = [clock.mono(), clock.wall()];
    const before = mark === undefined ? 0 : mark.clock - mark.wall;
    const now = Math.max(mark?.clock ?? 0, wall + (Math.abs(before) > FAR ? 0 : before));
    this.#ahead = now - mono;
    this.#met = mono;
    this.#apart = now - wall;
  }

  /** In ms since 1970. */
  now(): number {
    return this.#clock.mono() + this.#ahead;
  }

  /** What is to be written next. */
  mark(): ClockMark {
    return { clock: this.now(), wall: this.#clock.wall() };
  }

  /** Catches up with what the others have written. */
  meet({ clock }: ClockMark): void {
    const mono = this.#clock.mono();
    const away = this.#clock.wall() - this.now();
    const step = Math.min(Math.abs(away), (mono - this.#met) * SLEW);
    if (Math.abs(away) > NEAR) this.#ahead += Math.sign(away) * step;
    this.#met = mono;
    this.#ahead = Math.max(this.#ahead, clock - mono);
    this.#apart = -away;
  }

  /** Whether the machine's clock has jumped since it was looked at last, so that the others should hear of it. */
  jumped(): boolean {
    return Math.abs(this.now() - this.#clock.wall() - this.#apart) > NEAR;
  }
}
