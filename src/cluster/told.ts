import { type Change, Damping, hasProven } from "./damping.ts";
import { type Known, memberOf } from "./known.ts";
import type { Vitals } from "./record.ts";
import type { ClusterEvent, Member } from "./types.ts";

/** A node that is in the view no longer. */
export interface Departure {
  readonly member: Member;
  /** Whether it was declared dead; it left otherwise. */
  readonly faulted: boolean;
}

/** What happened in the cluster and is still to be told to whoever watches, the latest so many events. */
export class Told {
  readonly damping: Damping;
  readonly #most: number;
  #events: ClusterEvent[] = [];
  #departures: Departure[] = [];

  constructor(most: number) {
    this.#most = most;
    this.damping = new Damping(most);
  }

  note(event: ClusterEvent): void {
    add(this.#events, event, this.#most);
  }

  /** A node came or went; of one that does so all the time not everything is told. */
  change(type: Change["type"], known: Known): void {
    const member = memberOf(known);
    if (type === "left" || type === "faulted") {
      add(this.#departures, { member, faulted: type === "faulted" }, this.#most);
    }
    if (this.damping.mayTell({ type, member })) this.note({ type, member });
  }

  /**
   * A life has begun where nobody said goodbye; tells whether the node has to prove itself. One that has stood for a
   * while is the same process, which outlived a verdict on it.
   */
  reborn({ id, seq }: Pick<Vitals, "id" | "seq">): boolean {
    return !hasProven(seq) && this.damping.restarted(id);
  }

  /** Some time has passed; tells whether there is something to tell that was held back. */
  tick(now: number, known: ReadonlyMap<string, Known>): boolean {
    const due = this.damping.tick(now);
    for (const { type, member } of due) {
      const node = known.get(member.id);
      this.note({ type, member: node === undefined ? member : memberOf(node) });
    }
    return due.length > 0;
  }

  /** What is to be told since it was asked last. */
  events(): readonly ClusterEvent[] {
    return this.#events.splice(0);
  }

  /** Which nodes have gone since it was asked last, told or not. */
  departures(): readonly Departure[] {
    return this.#departures.splice(0);
  }
}

function add<T>(list: T[], item: T, most: number): void {
  if (list.length >= most) list.shift();
  list.push(item);
}
