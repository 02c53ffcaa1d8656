import { giveUp, heedSignal, type Job } from "./job.ts";

/** How many may wait to write, and how many characters or bytes they may carry. */
const JOBS = 65_536;
const SIZE = 64 * 2 ** 20;
/** How many that were taken may stand before the others. */
const TAKEN = 1024;

/** Jobs in the order in which they are to be done. */
export class JobQueue {
  #jobs: Job[] = [];
  #next = 0;
  #size = 0;

  get length(): number {
    return this.#jobs.length - this.#next;
  }

  /** Whether no more may wait. */
  get isFull(): boolean {
    return this.length >= JOBS || this.#size >= SIZE;
  }

  push(job: Job): void {
    this.#jobs.push(job);
    this.#size += job.size;
  }

  /** The next one for which somebody waits. */
  take(): Job | undefined {
    for (;;) {
      const job = this.#jobs[this.#next];
      if (job === undefined) return undefined;
      this.#next++;
      this.#size -= job.size;
      if (this.#next === this.#jobs.length) this.#trim();
      else if (this.#next > TAKEN && 2 * this.#next > this.#jobs.length) this.#trim();
      if (!job.over && !giveUp(job)) return job;
    }
  }

  /** All of them have to wait, so each listens to its signal. */
  heedSignals(): void {
    for (let at = this.#next; at < this.#jobs.length; at++) heedSignal(this.#jobs[at]!);
  }

  /** They are the next again. */
  putBack(jobs: readonly Job[]): void {
    this.#jobs = [...jobs, ...this.#jobs.slice(this.#next)];
    this.#next = 0;
    for (const { size } of jobs) this.#size += size;
  }

  /** Takes all of them. */
  takeAll(): Job[] {
    const jobs: Job[] = [];
    for (let job = this.take(); job !== undefined; job = this.take()) jobs.push(job);
    return jobs;
  }

  #trim(): void {
    this.#jobs = this.#jobs.slice(this.#next);
    this.#next = 0;
  }
}
