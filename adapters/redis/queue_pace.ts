import type { Clock } from "../../src/ports/runtime.ts";

/** How often Redis is asked for what others did, while somebody here waits for it. */
export interface PollOptions {
  /** How long after something happened it is asked again, in ms; then twice as long each time. @default 50 */
  readonly eager?: number | undefined;
  /** How many times a minute it is asked when nothing happens for long, for all who wait together. */
  readonly perMinute?: number | undefined;
}

const MINUTE = 60_000;

/** When to ask next for one thing. */
export class Pace {
  readonly #clock: Pick<Clock, "mono">;
  readonly #eager: number;
  readonly #perMinute: number;
  #pause: number;
  #next: number;

  /** Throws a `RangeError` for numbers that make no sense. */
  constructor(clock: Pick<Clock, "mono">, { eager = 50, perMinute = 20 }: PollOptions) {
    for (const [name, value] of Object.entries({ eager, perMinute })) {
      if (!(value > 0 && value < Infinity)) {
        throw new RangeError(`Cannot poll Redis: ${name} is ${value}, but must be more than 0`);
      }
    }
    this.#clock = clock;
    this.#eager = eager;
    this.#perMinute = perMinute;
    this.#pause = eager;
    this.#next = clock.mono();
  }

  /** How long until it is time to ask, in ms; 0 when it is. */
  get left(): number {
    return Math.max(0, this.#next - this.#clock.mono());
  }

  /** Something has happened, so more may. */
  hurry(): void {
    this.#pause = this.#eager;
    this.#next = this.#clock.mono();
  }

  /** Something will happen in so many ms at the latest. */
  expect(ms: number): void {
    this.#next = Math.min(this.#next, this.#clock.mono() + ms);
  }

  /**
   * Nothing has happened.
   *
   * @param others how many things are asked for, with this one
   */
  rest(others: number): void {
    this.#next = this.#clock.mono() + this.#pause;
    this.#pause = Math.min(this.#pause * 2, Math.max(this.#eager, others * MINUTE / this.#perMinute));
  }
}
