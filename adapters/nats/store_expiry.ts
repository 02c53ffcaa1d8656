import type { Runtime } from "../../src/ports/runtime.ts";
import { TimeHeap } from "../../src/internal/time_heap.ts";
import type { Kept } from "./store_message.ts";

/** How many entries are waited for; those beyond are found by the sweep. */
const MOST = 65_536;
/** How long those who wait for one wait longer at most, in ms, so that they do not all take it away at once. */
const SPREAD = 20;
/** How long to wait after that went wrong, in ms. */
const PAUSE = 1000;
/** How many are taken away at a time. */
const LANES = 16;

/** What takes entries away. */
export interface ExpiryHost {
  readonly runtime: Runtime;
  /** For how long an entry goes on about, in ms. */
  rest(kept: Kept): number;
  /** Takes an entry away whose time is over; answers whether it is settled. */
  expire(kept: Kept): Promise<boolean>;
}

class Due {
  time: number = 0;
  place: number = -1;
  readonly sequence: number;
  readonly kept: Kept;

  constructor(kept: Kept) {
    this.sequence = kept.sequence;
    this.kept = kept;
  }
}

/** Takes the entries away that somebody watches, when their time is over, so that everybody hears of it. */
export class StoreExpiry {
  readonly #host: ExpiryHost;
  readonly #due: Map<string, Due> = new Map();
  readonly #heap: TimeHeap<Due> = new TimeHeap();
  #stop: (() => void) | undefined;
  #busy = 0;
  #closed = false;

  constructor(host: ExpiryHost) {
    this.#host = host;
  }

  /** Hears of the newest message of a subject. */
  note(kept: Kept): void {
    const { subject, sequence, stamp, mark } = kept;
    const before = this.#due.get(subject);
    if (before !== undefined) {
      if (before.sequence >= sequence) return;
      this.#forget(before);
    }
    if (mark?.kind !== "put" || mark.ttl === undefined || this.#due.size >= MOST) return;
    // What it carries is not needed.
    this.#add(new Due({ subject, sequence, stamp, mark, data: new Uint8Array() }));
    this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#due.clear();
  }

  #add(due: Due, atLeast = 0): void {
    const { clock, random } = this.#host.runtime;
    const rest = Math.max(this.#host.rest(due.kept), atLeast);
    due.time = clock.mono() + rest + 1 + SPREAD * random.u32() / 2 ** 32;
    this.#due.set(due.kept.subject, due);
    this.#heap.add(due);
  }

  #forget(due: Due): void {
    this.#due.delete(due.kept.subject);
    if (due.place >= 0) this.#heap.remove(due);
  }

  #arm(): void {
    this.#stop?.();
    this.#stop = undefined;
    const next = this.#heap.first;
    if (this.#closed || next === undefined || this.#busy >= LANES) return;
    const { clock } = this.#host.runtime;
    this.#stop = clock.timer(Math.max(next.time - clock.mono(), 0), () => this.#run());
  }

  #run(): void {
    const now = this.#host.runtime.clock.mono();
    for (let next = this.#heap.first; next !== undefined && next.time <= now; next = this.#heap.first) {
      if (this.#busy >= LANES) break;
      this.#heap.remove(next);
      this.#busy++;
      this.#host.runtime.background(this.#settle(next));
    }
    this.#arm();
  }

  async #settle(due: Due): Promise<void> {
    let pause: number | undefined;
    try {
      if (!await this.#host.expire(due.kept)) pause = 0;
    } catch {
      pause = PAUSE;
    }
    this.#busy--;
    if (!this.#closed && this.#due.get(due.kept.subject) === due) {
      if (pause === undefined) this.#due.delete(due.kept.subject);
      else this.#add(due, pause);
    }
    this.#arm();
  }
}
