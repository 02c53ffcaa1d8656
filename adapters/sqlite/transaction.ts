import type { LedgerState } from "./ledger_state.ts";

/** What work that writes is given. */
export class Transaction {
  /** What is counted over the whole file; what is changed here is written at the end. */
  readonly state: LedgerState;
  /** The time by the file's clock, in ms since 1970: one for all that is done in one transaction. */
  readonly now: number;
  /** Nobody else has written since this process did, and what it knew then still holds. */
  readonly goesOn: boolean;
  /** Who is to be woken once it is done. */
  readonly told: Set<string> = new Set();

  constructor(state: LedgerState, now: number, goesOn: boolean) {
    this.state = state;
    this.now = now;
    this.goesOn = goesOn;
  }

  /** The next moment of the queue, in µs since 1970. */
  tick(): number {
    return this.state.tick = Math.max(Math.floor(this.now * 1000), this.state.tick + 1);
  }
}
