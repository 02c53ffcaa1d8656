import type { Clock } from "../../src/ports/runtime.ts";
import { Pace, type PollOptions } from "./queue_pace.ts";

/** What others did, up to a number. */
export interface QueueChanges {
  readonly last: string;
  /** Where there may be something to take; `undefined` for everywhere. */
  readonly topics: readonly string[] | undefined;
}

/** What the news need of their queue. */
export interface NewsHost {
  readonly clock: Pick<Clock, "mono" | "timer">;
  readonly poll: PollOptions;
  /** Whether anybody waits. */
  busy(): boolean;
  ask(known: string): Promise<QueueChanges>;
  /** There may be something to take, in one topic or everywhere. */
  changed(topic?: string): void;
  /** Nobody can be asked. */
  failed(thrown: unknown): void;
}

/** Finds out for all who wait, with one command, what others have done, by a pace that slows down. */
export class QueueNews {
  readonly #host: NewsHost;
  readonly #pace: Pace;
  #known = "-1";
  #stop: (() => void) | undefined;
  /** When it will be asked, if it will. */
  #at = 0;
  #asking = false;

  constructor(host: NewsHost) {
    this.#host = host;
    this.#pace = new Pace(host.clock, host.poll);
  }

  /** Something was taken, so others may soon do more. */
  hurry(): void {
    const { left } = this.#pace;
    this.#pace.hurry();
    this.#pace.rest(1);
    // Whoever takes again and again must not put it off.
    this.#pace.expect(left);
    this.plan();
  }

  /** Somebody begins to wait, or no longer does. */
  plan(): void {
    const { clock, busy } = this.#host;
    const left = this.#pace.left;
    const at = clock.mono() + left;
    const isBusy = !this.#asking && busy();
    if (isBusy && this.#stop !== undefined && this.#at <= at) return;
    this.#stop?.();
    this.#stop = undefined;
    if (!isBusy) return;
    this.#at = at;
    this.#stop = clock.timer(left, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { ask, changed, failed } = this.#host;
    this.#asking = true;
    this.#stop = undefined;
    this.#pace.rest(1);
    try {
      const { last, topics } = await ask(this.#known);
      this.#known = last;
      if (topics === undefined) changed();
      else for (const topic of topics) changed(topic);
    } catch (thrown) {
      failed(thrown);
    } finally {
      this.#asking = false;
      this.plan();
    }
  }
}
