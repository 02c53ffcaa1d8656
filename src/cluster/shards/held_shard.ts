import type { Fault } from "../../result.ts";
import type { Origin } from "../../mediator/context.ts";
import type { OwnedShard } from "../../mediator/types.ts";

/** A shard that this node owns, and what is handled because of that. */
export class HeldShard implements OwnedShard {
  readonly group: string;
  readonly index: number;
  readonly token: number | undefined;
  /** Whether nothing more is let in. */
  leaving: boolean = false;
  readonly #running: Set<Origin> = new Set();
  #idle: (() => void) | undefined;

  constructor(group: string, index: number, token: number | undefined) {
    this.group = group;
    this.index = index;
    this.token = token;
  }

  /** Whether anything is handled because of it. */
  get busy(): boolean {
    return this.#running.size > 0;
  }

  enter(origin: Origin): void {
    origin.shard = this;
    this.#running.add(origin);
  }

  exit(origin: Origin): void {
    this.#running.delete(origin);
    if (!this.busy) this.#idle?.();
  }

  /** Lets nothing more in; settles when nothing is handled any longer. */
  close(): Promise<void> {
    this.leaving = true;
    if (!this.busy) return Promise.resolve();
    return new Promise((resolve) => {
      const before = this.#idle;
      this.#idle = () => {
        before?.();
        resolve();
      };
    });
  }

  /** Tells the handlers of what is still under way that it is not this node's any longer. */
  cancel(fault: Fault): void {
    this.leaving = true;
    for (const { context } of this.#running) context?.cancel(fault);
  }
}
