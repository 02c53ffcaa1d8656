import type { Clock } from "../../src/ports/runtime.ts";

/** How often to look for what others have done: seldom, as each command may cost money, or soon. */
export type PollingProfile = "default" | "fast";

/** What looking costs and how soon it sees. All in ms but the last two. */
export interface Polling {
  /** How long after a change to look again. */
  readonly eager: number;
  /** How long between two looks at most. */
  readonly idle: number;
  /** How long a node is listed that is no longer heard of, by the server's clock. */
  readonly lease: number;
  /** How long a listed node waits at most to be heard of again. */
  readonly beat: number;
  /** How many commands a minute looking may take on a node, in the long run. */
  readonly perMinute: number;
  /** How many all looking of an idle node takes a minute at most, with its queue and events. */
  readonly whole: number;
}

/**
 * What the profiles stand for. With `default` an idle node takes 5 commands a minute for its watches and 4 to be listed
 * and to see the others; with `fast` it takes 600 and 60.
 */
export const pollings: Readonly<Record<PollingProfile, Polling>> = {
  default: { eager: 500, idle: 12_000, lease: 45_000, beat: 15_000, perMinute: 10, whole: 30 },
  fast: { eager: 100, idle: 100, lease: 3000, beat: 1000, perMinute: 1200, whole: 2400 },
};

/** Shares out how many commands a minute a node may take for looking. Up to a minute's worth is saved up. */
export class CommandBudget {
  /** How many a minute. */
  readonly perMinute: number;
  readonly #clock: Pick<Clock, "mono">;
  #left: number;
  #last: number;
  #spent = 0;
  #short = 0;

  constructor(clock: Pick<Clock, "mono">, perMinute: number) {
    if (!(perMinute > 0)) {
      throw new RangeError(`Cannot budget ${perMinute} commands a minute: it must be more than 0`);
    }
    this.#clock = clock;
    this.perMinute = perMinute;
    this.#left = perMinute;
    this.#last = clock.mono();
  }

  /** How many were taken so far. */
  get spent(): number {
    return this.#spent;
  }

  /** How often somebody had to wait for one. */
  get short(): number {
    return this.#short;
  }

  /** Takes a command if there is one; how many ms to wait for it if there is none. */
  take(): number {
    this.#earn();
    if (this.#left < 1) {
      this.#short++;
      return Math.ceil((1 - this.#left) * (60_000 / this.perMinute));
    }
    this.#left--;
    this.#spent++;
    return 0;
  }

  /** Takes a command in any case; others wait for it. */
  spend(): void {
    this.#earn();
    this.#spent++;
    this.#left = Math.max(this.#left - 1, -this.perMinute);
  }

  #earn(): void {
    const now = this.#clock.mono();
    this.#left = Math.min(this.perMinute, this.#left + (now - this.#last) * (this.perMinute / 60_000));
    this.#last = now;
  }
}
