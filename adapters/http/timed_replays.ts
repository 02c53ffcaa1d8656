import { CountWindow } from "../../src/internal/replay_window.ts";

/** Tells frames that were seen before where frames carry a time that others cannot change. */
export class TimedReplayGuard {
  readonly #ms: number;
  readonly #limit: number;
  readonly #senders: Map<string, CountWindow> = new Map();
  #floor = -Infinity;

  /**
   * Frames older than `ms` are refused by their time before they come here, so a sender that has been silent that
   * long is forgotten safely. When all of `limit` senders are recent the one silent longest goes; from then on a
   * sender that is not known is taken only for frames later than the last one of those that went.
   */
  constructor(ms: number, limit = 4096) {
    this.#ms = ms;
    this.#limit = limit;
  }

  /** How many senders are remembered just now. */
  get size(): number {
    return this.#senders.size;
  }

  /**
   * Whether this is the first frame with this count of this life of a sender.
   *
   * @param time when the sender says it sent the frame, in ms since 1970
   * @param now this node's time, in ms since 1970
   */
  first(sender: string, count: number, time: number, now: number): boolean {
    let window = this.#senders.get(sender);
    if (window === undefined) {
      if (time <= this.#floor) return false;
      if (this.#senders.size >= this.#limit) this.#makeRoom(now);
      window = new CountWindow(count);
      this.#senders.set(sender, window);
    }
    if (!window.first(count)) return false;
    if (time > window.latest) window.latest = time;
    return true;
  }

  #makeRoom(now: number): void {
    let oldest: string | undefined;
    let silent = Infinity;
    for (const [name, { latest }] of this.#senders) {
      if (latest < now - this.#ms) this.#senders.delete(name);
      else if (latest < silent) {
        silent = latest;
        oldest = name;
      }
    }
    if (this.#senders.size < this.#limit || oldest === undefined) return;
    this.#senders.delete(oldest);
    if (silent > this.#floor) this.#floor = silent;
  }
}
