import type { Clock } from "../../src/ports/runtime.ts";

/** How often to look whether another process has written, in ms: at first, and when there was nothing for long. */
const EAGER = 2;
const IDLE = 100;

/**
 * Wakes those who wait for something to change: at once for what this process writes, soon for what others do. While
 * nobody waits it looks for nothing.
 */
export class Pulse {
  readonly #clock: Pick<Clock, "timer">;
  readonly #version: () => unknown;
  readonly #looked: () => void;
  readonly #listeners: Map<string, Set<() => void>> = new Map();
  #seen: unknown;
  #pause = EAGER;
  #stop: (() => void) | undefined;

  /**
   * @param version changes when another process has written
   * @param looked is told each time it was looked for
   */
  constructor(clock: Pick<Clock, "timer">, version: () => unknown, looked: () => void) {
    this.#clock = clock;
    this.#version = version;
    this.#looked = looked;
  }

  /** Calls a function whenever an area may have changed; answers what ends that. */
  listen(area: string, run: () => void): () => void {
    let listeners = this.#listeners.get(area);
    if (listeners === undefined) this.#listeners.set(area, listeners = new Set());
    listeners.add(run);
    if (this.#stop === undefined) {
      this.#seen = this.#version();
      this.#look(EAGER);
    }
    return () => {
      listeners.delete(run);
      if (listeners.size === 0 && this.#listeners.get(area) === listeners) this.#listeners.delete(area);
      if (this.#listeners.size === 0) this.#rest();
    };
  }

  /** These areas have changed. */
  wake(areas: Iterable<string>): void {
    for (const area of areas) for (const run of [...this.#listeners.get(area) ?? []]) run();
  }

  /** Wakes all for the last time. */
  end(): void {
    this.wake([...this.#listeners.keys()]);
    this.#rest();
  }

  #rest(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #look(pause: number): void {
    this.#pause = pause;
    this.#stop = this.#clock.timer(pause, () => {
      const found = this.#version();
      const changed = found !== this.#seen;
      this.#seen = found;
      this.#look(changed ? EAGER : Math.min(this.#pause * 2, IDLE));
      if (changed) this.wake([...this.#listeners.keys()]);
      this.#looked();
    });
  }
}

/** One who looks, and waits when there was nothing. What changes between the two is not missed. */
export class Waiter {
  readonly #clock: Pick<Clock, "timer">;
  readonly #stop: () => void;
  #woken = false;
  #wake: (() => void) | undefined;

  constructor(pulse: Pulse, area: string, clock: Pick<Clock, "timer">) {
    this.#clock = clock;
    this.#stop = pulse.listen(area, () => {
      this.#woken = true;
      this.#wake?.();
    });
  }

  /** Waits until something has changed since the last time, so many ms at most, or until the signal aborts. */
  async wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#woken && !signal?.aborted) {
      const woken = new Promise<void>((resolve) => this.#wake = resolve);
      const stop = this.#clock.timer(ms, this.#wake!);
      signal?.addEventListener("abort", this.#wake!, { once: true });
      await woken;
      stop();
      signal?.removeEventListener("abort", this.#wake!);
    }
    this.#woken = false;
  }

  close(): void {
    this.#stop();
  }
}
