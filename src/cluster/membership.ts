import type { Clock } from "../ports/runtime.ts";
import { isBefore } from "./comparison.ts";
import type { Change } from "./damping.ts";
import { Graves } from "./graves.ts";
import { type Known, knownOf, memberOf, settles } from "./known.ts";
import { encodeRecord, type NodeRecord, type Vitals } from "./record.ts";
import { Roster } from "./roster.ts";
import { Rumours } from "./rumours.ts";
import { Told } from "./told.ts";
import type { ClusterEvent, Member, Timing } from "./types.ts";

/** How many nodes a view holds, and how many that are gone it remembers. */
const NODES = 1024;

/**
 * Who is in the cluster, as one node sees it. A state machine without I/O: it is told what was heard and what time
 * it is, and tells what changed. Nobody else's clock matters: what a node says of itself is ordered by its
 * incarnation, revision and sequence number, and what was declared dead stays dead until it comes back under a new
 * incarnation.
 */
export class Membership {
  readonly timing: Required<Timing>;
  readonly rumours: Rumours = new Rumours();
  readonly graves: Graves = new Graves(NODES);
  readonly told: Told = new Told(NODES);
  version: number = 0;
  /** Whether there is news that should not wait for the next heartbeat. */
  urgent: boolean = false;
  readonly #roster: Roster;
  /** The number that this node said when it last began a later life than another's. */
  #outdid = -1;

  constructor(self: NodeRecord, timing: Required<Timing>) {
    this.#roster = new Roster(self);
    this.timing = timing;
  }

  /** What this node says of itself. */
  get self(): NodeRecord {
    return this.#roster.me.record;
  }

  /** Changes what this node says of itself. */
  say(change: Partial<Omit<NodeRecord, keyof Vitals>> & { readonly incarnation?: number }): void {
    const { self } = this;
    this.#roster.me.record = { ...self, ...change, revision: self.revision + 1 };
    if (this.self.status !== self.status) this.note({ type: "status", status: this.self.status });
    else this.version++;
    this.#spread(self.id, ["node", ...encodeRecord(this.self)]);
    this.#roster.turned();
  }

  /** Tells how this node is doing, with the next heartbeat. */
  beat(vitals: Pick<Vitals, "load" | "lag" | "cpu" | "memory">): void {
    this.#roster.me.record = { ...this.self, ...vitals, seq: this.self.seq + 1 };
    this.#roster.stirred();
  }

  /** How many nodes there are, this one included. */
  get size(): number {
    return this.#roster.others.size + 1;
  }

  /** The same number wherever the same nodes say the same of themselves. */
  get digest(): number {
    return this.#roster.digest;
  }

  /** All other nodes' records. */
  records(): NodeRecord[] {
    return this.#roster.records();
  }

  /** What another node said of itself, from itself or passed on. */
  hear(record: NodeRecord, wall: number): void {
    if (record.id === this.self.id) return this.#outdo(record);
    if (record.incarnation <= this.graves.over(record.id)) return;
    if (record.status === "left") return this.bury(record.id, record.incarnation, false);
    const known = this.#roster.others.get(record.id);
    if (known === undefined) return this.#meet(record, wall);
    const before = known.record;
    if (record.incarnation < before.incarnation) return;
    const reborn = record.incarnation > before.incarnation;
    if (!reborn && record.revision <= before.revision) return this.#freshen(known, record, wall);
    const seq = reborn ? record.seq : Math.max(record.seq, before.seq);
    known.record = { ...record, seq };
    known.seen = wall;
    this.#roster.turned();
    this.#spread(record.id, ["node", ...encodeRecord(known.record)]);
    if (reborn || record.seq > before.seq) known.suspected = undefined;
    if (reborn) {
      known.reachable = true;
      known.settling = this.told.reborn(record);
      this.#change("joined", known);
    } else if (record.status === "draining" && before.status !== "draining") {
      this.note({ type: "draining", member: memberOf(known) });
    } else this.version++;
    if (settles(known)) this.version++;
  }

  /** How another node is doing, from itself. */
  heartbeat(vitals: Vitals, wall: number): void {
    const known = this.#roster.others.get(vitals.id);
    if (known?.record.incarnation === vitals.incarnation) this.#freshen(known, vitals, wall);
  }

  /** Takes note that a node answered, or did not. */
  contact(id: string, answered: boolean): void {
    const known = this.#roster.others.get(id);
    if (known === undefined || known.reachable === answered) return;
    known.reachable = answered;
    this.#roster.stirred();
    this.version++;
  }

  /** Whether it is a member that cannot be reached just now, or none. */
  unreachable(id: string): boolean {
    return this.#roster.others.get(id)?.reachable !== true;
  }

  /** What a suspicion of a node would be about; `undefined` for a node that is not known. */
  find(id: string): NodeRecord | undefined {
    return this.#roster.others.get(id)?.record;
  }

  /** Nobody could reach a node when it had last said this number. Unless it says a later one it will be buried. */
  suspect(id: string, incarnation: number, seq: number, now: number): void {
    if (id === this.self.id) return this.#refute(incarnation, seq);
    const known = this.#roster.others.get(id);
    if (known === undefined || known.record.incarnation !== incarnation) return;
    if (known.record.seq > seq) return this.#spread(id, ["alive", id, incarnation, known.record.seq]);
    if (known.suspected !== undefined) return;
    known.suspected = now;
    this.#roster.stirred();
    this.version++;
    this.#spread(id, ["suspect", id, incarnation, seq]);
  }

  /** A node was heard to say this number. */
  alive(id: string, incarnation: number, seq: number, wall: number): void {
    const known = this.#roster.others.get(id);
    if (known?.record.incarnation === incarnation) this.#freshen(known, { ...known.record, seq }, wall);
  }

  /** A life of a node is over: it left, or was declared dead. */
  bury(id: string, incarnation: number, faulted: boolean): void {
    if (id === this.self.id) return this.#outlive(incarnation);
    const known = this.#roster.others.get(id);
    if (known !== undefined && known.record.incarnation > incarnation) return;
    if (this.graves.over(id) >= incarnation) return;
    this.graves.bury(id, { incarnation, faulted, endpoint: known?.record.endpoint });
    this.#spread(id, this.graves.epitaph(id)!);
    if (known === undefined) return;
    this.#roster.others.delete(id);
    this.#roster.turned();
    known.reachable = false;
    this.#change(faulted ? "faulted" : "left", known);
  }

  /**
   * Buries who was under suspicion for too long.
   *
   * @param late for how long this node itself stood still, in ms: it could not hear anybody object meanwhile
   * @param patience how much longer than usual it waits, since it is not well itself
   */
  tick(now: number, late: number, patience: number): void {
    if (this.told.tick(now, this.#roster.others)) this.version++;
    const { timeout, probe } = this.timing;
    const limit = (timeout - 2.5 * probe) * patience;
    for (const { id, incarnation } of this.#roster.overdue(now, late, limit)) {
      this.bury(id, incarnation, true);
    }
  }

  /** All nodes, this one included, ordered by name; another list only where the version is another. */
  everyone(): readonly Known[] {
    return this.#roster.everyone();
  }

  /** The same for whoever asks this node. */
  members(clock: Pick<Clock, "wall">): readonly Member[] {
    return this.#roster.members(clock);
  }

  /** What changed since it was asked last. */
  events(): readonly ClusterEvent[] {
    return this.told.events();
  }

  #meet(record: NodeRecord, wall: number): void {
    if (this.#roster.others.size >= NODES - 1) return;
    const known = knownOf(record, wall, false);
    this.#roster.others.set(record.id, known);
    this.#roster.turned();
    this.#spread(record.id, ["node", ...encodeRecord(record)]);
    const recovered = this.graves.rise(record.id);
    if (recovered) known.settling = this.told.reborn(record);
    this.#change(recovered ? "recovered" : "joined", known);
  }

  /** A node said something later than what was known. */
  #freshen(known: Known, vitals: Vitals, wall: number): void {
    const { record } = known;
    if (vitals.seq <= record.seq) return;
    this.#roster.freshen(known, vitals, wall);
    if (settles(known)) this.version++;
    if (known.suspected === undefined) return;
    known.suspected = undefined;
    this.version++;
    this.#spread(record.id, ["alive", record.id, record.incarnation, vitals.seq]);
  }

  /** This node is suspected: it says a later number than the one it was last heard to say. */
  #refute(incarnation: number, seq: number): void {
    const { self } = this;
    if (incarnation !== self.incarnation || self.status === "left") return;
    this.#roster.me.record = { ...self, seq: Math.max(self.seq, seq) + 1 };
    this.#spread(self.id, ["alive", self.id, incarnation, this.self.seq]);
  }

  /** Begins a later life than another of this name; once a heartbeat at most, as that one may live and do the same. */
  #outdo({ incarnation, revision }: NodeRecord): void {
    const { self } = this;
    if (!isBefore(self, incarnation, revision) || this.#outdid === self.seq) return;
    this.#outdid = self.seq;
    this.#outlive(incarnation);
  }

  /** A life of this name is over, elsewhere or by others' verdict: begin the next one, if this is not a later one. */
  #outlive(last: number): void {
    if (last >= this.self.incarnation && this.self.status !== "left") this.say({ incarnation: last + 1 });
  }

  #spread(about: string, item: readonly unknown[]): void {
    this.rumours.add({ about, item });
    this.urgent = true;
  }

  /** Something changed that whoever watches the cluster is to know. */
  note(event: ClusterEvent): void {
    this.version++;
    this.told.note(event);
  }

  #change(type: Change["type"], known: Known): void {
    this.version++;
    this.told.change(type, known);
  }
}
