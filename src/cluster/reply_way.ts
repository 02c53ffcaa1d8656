import type { Clock } from "../ports/runtime.ts";
import { PULSE } from "../wire/envelope.ts";

/** How often a stream without news says that it is alive, in ms. */
const EVERY = 10_000;

/** How long its reader may take none of its parts before it counts as gone, in ms. */
const PATIENCE = 300_000;

/** The way back of one stream: says now and then that it is alive, and waits for its reader only so long. */
export class ReplyWay {
  /** Whether the reader counts as gone. */
  gone: boolean = false;
  readonly #clock: Clock;
  readonly #reply: (item: unknown) => void | Promise<void>;
  readonly #over: Promise<void>;
  readonly #stopLimit: (() => void) | undefined;
  #leave!: () => void;
  #stopPulse: (() => void) | undefined;
  #taken: number;

  /** @param remaining how long its caller waits, in ms; below 0 for ever */
  constructor(clock: Clock, reply: (item: unknown) => void | Promise<void>, remaining: number) {
    this.#clock = clock;
    this.#reply = reply;
    this.#taken = clock.mono();
    this.#over = new Promise((resolve) => {
      this.#leave = () => {
        this.gone = true;
        resolve();
      };
    });
    this.#stopLimit = remaining < 0 ? undefined : clock.timer(remaining, this.#leave);
    this.#pulse();
  }

  /** Sends a part; settles when there is room for the next, or the reader is gone. */
  async send(item: unknown): Promise<void> {
    const taken = this.#reply(item);
    if (taken !== undefined) await Promise.race([taken, this.#over]);
    this.#taken = this.#clock.mono();
  }

  end(): void {
    this.#stopPulse?.();
    this.#stopLimit?.();
  }

  #pulse(): void {
    this.#stopPulse = this.#clock.timer(EVERY, () => {
      if (this.#clock.mono() - this.#taken > PATIENCE) return this.#leave();
      Promise.resolve(this.#reply([PULSE])).catch(() => {});
      this.#pulse();
    });
  }
}
