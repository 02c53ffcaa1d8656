import type { Clock } from "../ports/runtime.ts";
import type { ClusterEvent, Member, Status, Timing } from "./types.ts";

/** What a node says of itself, and others pass on. */
export interface NodeRecord {
  readonly id: string;
  readonly endpoint: string;
  readonly incarnation: number;
  /** Grows with each heartbeat of one incarnation. */
  readonly seq: number;
  readonly status: Status;
  readonly contracts: readonly string[];
  readonly load: number;
  readonly lag: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** How many nodes a view holds, and how many that are gone it remembers. */
const NODES = 1024;

interface Known {
  record: NodeRecord;
  /** When there was news of it last, by the monotonic clock, in ms. */
  heard: number;
  /** The same by the wall clock, for people. */
  seen: number;
  /** When it last answered this node itself. */
  answered: number;
  refused: boolean;
}

interface Gone {
  readonly incarnation: number;
  readonly faulted: boolean;
}

/**
 * Who is in the cluster, as one node sees it. A state machine without I/O: it is told what was heard and what time
 * it is, and tells what changed. Liveness is judged by this node's own clock and by sequence numbers alone, so
 * other nodes' clocks do not matter; what was declared dead stays dead until it comes back under a new incarnation.
 */
export class Membership {
  readonly timing: Timing;
  self: NodeRecord;
  version: number = 0;
  #events: ClusterEvent[] = [];
  #view: readonly Member[] | undefined;
  readonly #known: Map<string, Known> = new Map();
  readonly #gone: Map<string, Gone> = new Map();

  constructor(self: NodeRecord, timing: Timing) {
    this.self = self;
    this.timing = timing;
  }

  /** Changes what this node says of itself. */
  say(change: Partial<NodeRecord>): void {
    const status = change.status ?? this.self.status;
    if (status !== this.self.status) this.#changed({ type: "status", status });
    this.self = { ...this.self, ...change };
    this.#view = undefined;
  }

  /** All other nodes' records, to pass on. */
  records(): NodeRecord[] {
    return [...this.#known.values()].map((known) => known.record);
  }

  /** Takes news of a node, from itself or passed on. */
  hear(record: NodeRecord, now: number, wall: number): void {
    if (record.id === this.self.id) return this.#heardOfSelf(record);
    const gone = this.#gone.get(record.id);
    if (gone !== undefined && record.incarnation <= gone.incarnation) return;
    const known = this.#known.get(record.id);
    if (known === undefined) return this.#meet(record, gone, now, wall);
    const before = known.record;
    const newer = record.incarnation > before.incarnation ||
      (record.incarnation === before.incarnation && record.seq > before.seq);
    if (!newer) return;
    if (record.status === "left") return this.#remove(record, false);
    known.record = record;
    known.heard = now;
    known.seen = wall;
    this.#view = undefined;
    if (record.incarnation > before.incarnation) {
      known.answered = now;
      known.refused = false;
      this.#changed({ type: "joined", member: this.#memberOf(known, now) });
    } else if (record.status === "draining" && before.status !== "draining") {
      this.#changed({ type: "draining", member: this.#memberOf(known, now) });
    } else if (record.status !== before.status) this.version++;
  }

  /** Takes note that a node answered, refused the connection or kept silent. */
  contact(id: string, how: "answered" | "refused", now: number): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    const before = this.#reachable(known, now);
    known.refused = how === "refused";
    if (how === "answered") known.answered = now;
    if (before !== this.#reachable(known, now)) {
      this.#view = undefined;
      this.version++;
    }
  }

  /** Whether it is a member that cannot be reached just now. */
  unreachable(id: string, now: number): boolean {
    const known = this.#known.get(id);
    return known === undefined || !this.#reachable(known, now);
  }

  /**
   * Declares dead what was silent for too long.
   *
   * @param late how late this node itself is, in ms: a node whose event loop stood still accuses nobody
   */
  tick(now: number, late: number): void {
    this.#view = undefined;
    for (const known of this.#known.values()) {
      if (late > 0) {
        known.heard = Math.min(known.heard + late, now);
        known.answered = Math.min(known.answered + late, now);
      }
      if (now - known.heard > this.timing.timeout) this.#remove(known.record, true);
    }
  }

  /** The incarnation that a node was declared dead or left under. */
  goneSince(id: string): number | undefined {
    return this.#gone.get(id)?.incarnation;
  }

  /** All nodes, this one included, ordered by name. */
  view(clock: Pick<Clock, "mono" | "wall">): readonly Member[] {
    if (this.#view !== undefined) return this.#view;
    const now = clock.mono();
    const self = { ...factsOf(this.self), local: true, reachable: true };
    const others = [...this.#known.values()].map((known) => this.#memberOf(known, now));
    return this.#view = [{ ...self, lastSeen: clock.wall() }, ...others].sort((a, b) => a.id < b.id ? -1 : 1);
  }

  /** What changed since it was asked last. */
  events(): readonly ClusterEvent[] {
    return this.#events.splice(0);
  }

  #meet(record: NodeRecord, gone: Gone | undefined, now: number, wall: number): void {
    if (record.status === "left") {
      return remember(this.#gone, record.id, { incarnation: record.incarnation, faulted: false });
    }
    if (this.#known.size >= NODES) return;
    const known: Known = { record, heard: now, seen: wall, answered: now, refused: false };
    this.#known.set(record.id, known);
    this.#view = undefined;
    this.#changed({ type: gone?.faulted ? "recovered" : "joined", member: this.#memberOf(known, now) });
  }

  #remove(record: NodeRecord, faulted: boolean): void {
    const known = this.#known.get(record.id);
    if (known === undefined) return;
    this.#known.delete(record.id);
    remember(this.#gone, record.id, { incarnation: record.incarnation, faulted });
    this.#view = undefined;
    const member = { ...this.#memberOf(known, known.heard), reachable: false };
    this.#changed({ type: faulted ? "faulted" : "left", member });
  }

  /** Others know of a later life of this name: outlive it. */
  #heardOfSelf(record: NodeRecord): void {
    if (record.incarnation > this.self.incarnation) this.say({ incarnation: record.incarnation + 1 });
  }

  #reachable(known: Known, now: number): boolean {
    return !known.refused && now - known.answered <= this.timing.timeout;
  }

  #memberOf(known: Known, now: number): Member {
    const reachable = this.#reachable(known, now);
    return { ...factsOf(known.record), local: false, reachable, lastSeen: known.seen };
  }

  #changed(event: ClusterEvent): void {
    this.version++;
    if (this.#events.length >= NODES) this.#events.shift();
    this.#events.push(event);
  }
}

function remember(gone: Map<string, Gone>, id: string, what: Gone): void {
  gone.delete(id);
  gone.set(id, what);
  if (gone.size > NODES) gone.delete(gone.keys().next().value!);
}

/** What a node's record tells that does not depend on who looks. */
function factsOf(record: NodeRecord): Omit<Member, "local" | "reachable" | "lastSeen"> {
  const { id, endpoint, incarnation, status, contracts, load, lag, tags } = record;
  return { id, endpoint, incarnation, status, contracts, load, lag, tags };
}
