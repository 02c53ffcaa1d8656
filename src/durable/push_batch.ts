import { CatgaError, failure, type Fault, faultOf, ok, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import type { QueueItem } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Pushing } from "./command_group.ts";
import { type Pushed, settle, type Waiting } from "./push_waiting.ts";

/** What a {@linkcode PushBatch} stands on. */
export interface PushHost {
  readonly queue: Pushing;
  readonly runtime: Runtime;
}

/** How long to wait between two tries, in ms: twice as long each time, up to the second. */
const DELAY = 25;
const LONGEST = 1000;
/** After how long, in ms, an answer counts as lost. */
const PATIENCE = 5000;

/**
 * Puts items into a queue by one push, again and again until it has them: it knows them by their ids. Each is given up
 * by its own deadline and signals, and where the queue refuses them together, each goes on alone.
 */
export class PushBatch {
  readonly #host: PushHost;
  readonly #topic: string;
  readonly #over: AbortController = new AbortController();
  #waiting: readonly Waiting[];
  #left: number;
  #tries = 0;
  /** How many pushes have not been answered. */
  #pending = 0;
  /** Whether the last of them is the one that is waited for. */
  #isTrying = false;
  /** Whether what became of an earlier try is not known. */
  #isUnknown: boolean;
  /** When the first of those who wait gives up, and when the try is given up or the pause is over. */
  #deadline = Infinity;
  #next = Infinity;
  #stop: () => void = nothing;

  /**
   * @param waiting those who have not given up
   * @param isUnknown whether they may be stored already
   */
  constructor(host: PushHost, topic: string, waiting: readonly Waiting[], isUnknown: boolean = false) {
    this.#host = host;
    this.#topic = topic;
    this.#waiting = waiting;
    this.#left = waiting.length;
    this.#isUnknown = isUnknown;
  }

  start(): void {
    const leave = (): void => this.#leave();
    for (const each of this.#waiting) each.leave = leave;
    const now = this.#host.runtime.clock.mono();
    this.#expire(now);
    if (this.#left > 0) this.#try(now);
  }

  #try(now: number): void {
    if (this.#left < this.#waiting.length) this.#waiting = this.#waiting.filter(({ isOver }) => !isOver);
    const number = ++this.#tries;
    this.#pending++;
    this.#isTrying = true;
    this.#wake(now, now + PATIENCE);
    this.#push(this.#waiting.map(({ item }) => item)).then(
      () => this.#stored(),
      (thrown: unknown) => {
        this.#pending--;
        if (number === this.#tries && this.#isTrying && this.#left > 0) this.#failed(thrown);
      },
    );
  }

  #push(items: readonly QueueItem[]): Promise<void> {
    try {
      return this.#host.queue.push(this.#topic, items, { signal: this.#over.signal });
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  /** By one try or the other: what still waits was part of all of them. */
  #stored(): void {
    this.#pending--;
    this.#left = 0;
    const stored: Pushed = ok(undefined);
    for (const each of this.#waiting) settle(each, stored);
    this.#close();
  }

  #failed(thrown: unknown): void {
    const fault = faultOf(thrown);
    if (CatgaError.is(thrown) && fault.retryable && fault.code !== "OVERLOADED") {
      if (fault.code !== "UNAVAILABLE") this.#isUnknown = true;
      return this.#pause();
    }
    const left = this.#waiting.filter(({ isOver }) => !isOver);
    this.#left = 0;
    this.#close();
    if (left.length === 1) return settle(left[0]!, failure(this.#isUnknown ? this.#unknown(fault) : fault));
    // Which of them it refuses, or has no room for, only shows one by one.
    const isUnknown = this.#isUnknown || !CatgaError.is(thrown);
    for (const each of left) new PushBatch(this.#host, this.#topic, [each], isUnknown).start();
  }

  /** A refusal would say that nothing is stored. */
  #unknown({ message }: Fault): Fault {
    return systemFault(
      "TRANSPORT",
      `"${this.#topic}" may be stored: an answer was lost, and then: ${message}`,
    );
  }

  #pause(): void {
    const { clock, random } = this.#host.runtime;
    this.#isTrying = false;
    const now = clock.mono();
    this.#wake(now, now + backoff(this.#tries, DELAY, LONGEST, random.u32()));
  }

  #wake(now: number, next: number): void {
    this.#next = next;
    this.#stop();
    const due = Math.min(this.#deadline, next);
    this.#stop = this.#host.runtime.clock.timer(due - now, () => this.#look());
  }

  #look(): void {
    const now = this.#host.runtime.clock.mono();
    if (now >= this.#deadline) this.#expire(now);
    if (this.#left === 0) return;
    if (now < this.#next) this.#wake(now, this.#next);
    else if (!this.#isTrying) this.#try(now);
    else {
      this.#isUnknown = true;
      this.#pause();
    }
  }

  #expire(now: number): void {
    this.#deadline = Infinity;
    for (const each of this.#waiting) {
      if (each.isOver) continue;
      if (each.deadline > now) {
        this.#deadline = Math.min(this.#deadline, each.deadline);
        continue;
      }
      const late = `"${this.#topic}" was not stored before its deadline; it may be later`;
      settle(each, failure(systemFault("TIMEOUT", late)));
      this.#leave();
    }
  }

  #leave(): void {
    if (--this.#left === 0) this.#close();
  }

  #close(): void {
    this.#stop();
    // To abort costs more than a push, so only what still runs is.
    if (this.#pending > 0) this.#over.abort();
  }
}

function nothing(): void {}
