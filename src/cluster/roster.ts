import type { Clock } from "../ports/runtime.ts";
import { digestOf } from "./comparison.ts";
import { type Known, knownOf, memberOf } from "./known.ts";
import type { NodeRecord, Vitals } from "./record.ts";
import type { Member } from "./types.ts";

/** The nodes of a view, and lists of them that are made once for each state of it. */
export class Roster {
  readonly me: Known;
  readonly others: Map<string, Known> = new Map();
  #members: readonly Member[] | undefined;
  #all: readonly Known[] | undefined;
  #digest: number | undefined;

  constructor(self: NodeRecord) {
    this.me = knownOf(self, 0, true);
  }

  get digest(): number {
    return this.#digest ??= digestOf([this.me.record, ...this.records()]);
  }

  /** All other nodes' records. */
  records(): NodeRecord[] {
    return Array.from(this.others.values(), (known) => known.record);
  }

  /** All nodes, this one included, ordered by name. */
  everyone(): readonly Known[] {
    return this.#all ??= [this.me, ...this.others.values()].sort((a, b) =>
      a.record.id < b.record.id ? -1 : 1
    );
  }

  /** The same for whoever asks this node. */
  members(clock: Pick<Clock, "wall">): readonly Member[] {
    if (this.#members !== undefined) return this.#members;
    this.me.seen = clock.wall();
    return this.#members = this.everyone().map(memberOf);
  }

  /** Takes in what a node said later than what was known. */
  freshen(known: Known, { seq, load, lag, cpu, memory }: Vitals, wall: number): void {
    known.record = { ...known.record, seq, load, lag, cpu, memory };
    known.seen = wall;
    this.stirred();
  }

  /** Who has been under suspicion for so long, not counting for how long this node itself was late, in ms. */
  overdue(now: number, late: number, limit: number): readonly NodeRecord[] {
    const overdue: NodeRecord[] = [];
    for (const known of this.others.values()) {
      if (known.suspected === undefined) continue;
      known.suspected = Math.min(known.suspected + late, now);
      if (now - known.suspected >= limit) overdue.push(known.record);
    }
    return overdue;
  }

  /** How a node is doing has changed. */
  stirred(): void {
    this.#members = undefined;
  }

  /** Who is there has changed, or what a node says of itself. */
  turned(): void {
    this.#members = undefined;
    this.#all = undefined;
    this.#digest = undefined;
  }
}
