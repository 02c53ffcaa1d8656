import type { Delivery, PullOptions } from "../../src/ports/queue.ts";
import { queueCancelled } from "../../src/ports/queue_faults.ts";
import type { Clock } from "../../src/ports/runtime.ts";

/** What was found when a group was asked for items. */
export interface Look {
  readonly taken: readonly Delivery[];
  /** When there may be something that is not there yet, in ms; `undefined` for never. */
  readonly next: number | undefined;
  /** Not everything was looked at. */
  readonly more: boolean;
  /** After how many ms the group ends unless it is asked; `undefined` for never. */
  readonly idle: number | undefined;
}

/** What a desk needs of its queue. */
export interface DeskHost {
  readonly clock: Pick<Clock, "mono" | "timer">;
  /** What is done, for messages. */
  readonly what: string;
  take(max: number, lease: number, wait: number): Promise<Look>;
  /** Somebody wants something (1), or no longer does (-1). */
  waits(more: number): void;
  /** Nothing was there for somebody, who waits. */
  rests(): void;
  /** Something was taken. */
  found(): void;
}

interface Seeker {
  readonly max: number;
  readonly lease: number;
  readonly until: number;
  isOver: boolean;
  /** Begins to wait, if it does not yet. */
  rest(): void;
  end(taken: readonly Delivery[]): void;
  fail(thrown: unknown): void;
}

/** How long after a failure it is asked again at the earliest, in ms. */
const REST = 50;

/**
 * Where those of this process wait for the items of a group. One asks for all of them: when there may be something, as
 * far as is known here.
 */
export class QueueDesk {
  readonly #host: DeskHost;
  readonly #seekers: Set<Seeker> = new Set();
  /** When there may be something to take, by the monotonic clock. */
  #due = -Infinity;
  #stop: (() => void) | undefined;
  #looking = false;

  constructor(host: DeskHost) {
    this.#host = host;
  }

  /** How many wait. */
  get size(): number {
    return this.#seekers.size;
  }

  /** There may be something to take in so many ms. */
  expect(ms: number): void {
    this.#due = Math.min(this.#due, this.#host.clock.mono() + ms);
    this.#plan();
  }

  /** Nobody can be asked. */
  fail(thrown: unknown): void {
    this.#due = this.#host.clock.mono() + REST;
    for (const seeker of this.#seekers) seeker.fail(thrown);
  }

  /** Takes what there is. What comes when nobody wants it any more is given back. */
  async now({ max, lease, signal }: PullOptions): Promise<readonly Delivery[]> {
    for (;;) {
      if (signal?.aborted) throw queueCancelled(this.#host.what);
      const { taken, more } = await this.#host.take(max, lease, 0);
      if (signal?.aborted) {
        giveBack(taken);
        throw queueCancelled(this.#host.what);
      }
      if (taken.length > 0 || !more) return taken;
    }
  }

  /** Waits for the first item. */
  wait({ max, lease, wait = 0, signal }: PullOptions): Promise<readonly Delivery[]> {
    if (signal?.aborted) return Promise.reject(queueCancelled(this.#host.what));
    const { clock, what } = this.#host;
    return new Promise((resolve, reject) => {
      let stop: (() => void) | undefined;
      const leave = (): void => {
        seeker.isOver = true;
        stop?.();
        signal?.removeEventListener("abort", abort);
        if (!this.#seekers.delete(seeker)) return;
        this.#host.waits(-1);
        if (this.#seekers.size === 0) this.#rest();
      };
      const abort = (): void => seeker.fail(queueCancelled(what));
      const seeker: Seeker = {
        max,
        lease,
        until: clock.mono() + wait,
        isOver: false,
        rest: () => {
          if (stop !== undefined) return;
          // Who is being looked for gets what is found also when that takes longer than the wait.
          stop = clock.timer(Math.max(seeker.until - clock.mono(), 0), () => {
            if (!this.#looking || this.#first() !== seeker) seeker.end([]);
          });
          this.#host.rests();
        },
        end: (taken) => (leave(), resolve(taken)),
        fail: (thrown) => (leave(), reject(thrown)),
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#seekers.add(seeker);
      this.#host.waits(1);
      this.#plan();
      if (!this.#looking || this.#first() !== seeker) seeker.rest();
    });
  }

  #first(): Seeker | undefined {
    return this.#seekers.values().next().value;
  }

  #plan(): void {
    this.#rest();
    if (this.#looking || this.#seekers.size === 0 || this.#due === Infinity) return;
    const left = this.#due - this.#host.clock.mono();
    if (left <= 0) void this.#look();
    else this.#stop = this.#host.clock.timer(left, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { clock, take, found } = this.#host;
    this.#rest();
    this.#looking = true;
    try {
      for (let seeker = this.#first(); seeker !== undefined; seeker = this.#first()) {
        this.#due = Infinity;
        const look = await take(seeker.max, seeker.lease, seeker.until - clock.mono());
        if (look.taken.length > 0) {
          this.#due = clock.mono();
          if (seeker.isOver) giveBack(look.taken);
          else seeker.end(look.taken);
          found();
        } else if (!this.#goesOn(seeker, look)) break;
      }
    } catch (thrown) {
      this.fail(thrown);
    } finally {
      this.#looking = false;
      for (const seeker of this.#seekers) seeker.rest();
      this.#plan();
    }
  }

  /** Nothing was there. Answers whether to look on at once. */
  #goesOn(seeker: Seeker, { more, next, idle }: Look): boolean {
    const { clock } = this.#host;
    if (!seeker.isOver && seeker.until <= clock.mono()) seeker.end([]);
    if (more) this.expect(0);
    if (next !== undefined) this.expect(Math.max(next, 1));
    if (idle !== undefined) this.expect(idle / 2);
    return this.#due <= clock.mono();
  }

  #rest(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

function giveBack(taken: readonly Delivery[]): void {
  void Promise.allSettled(taken.map((delivery) => delivery.retry(0)));
}
