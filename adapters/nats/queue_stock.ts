import { QueueGroup } from "../../src/internal/queue_group.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import type { QueueBacklog } from "../../src/ports/queue.ts";
import { leaseOver } from "../../src/ports/queue_faults.ts";
import type { CatgaError } from "../../src/result.ts";
import type { Acks } from "./acks.ts";
import type { DoneItems } from "./queue_done.ts";
import { Gate } from "./queue_gate.ts";
import type { Claim, HeldItem, KeptClaim } from "./queue_held.ts";

/** What shall become of an item in somebody's hands. */
export interface Settlement extends Omit<Claim, "left"> {
  readonly verb: "ack" | "retry" | "extend";
  readonly id: string;
  /** The delay or the lease, in ms. */
  readonly ms: number;
}

const encoder: TextEncoder = new TextEncoder();
const ACK: Uint8Array = encoder.encode("+ACK");
const WORKING: Uint8Array = encoder.encode("+WPI");
/** After how long the server hands out what is given up, in ms: not at once to requests that are about to go. */
const GIVING_UP = 50;
/** How long an item stays where it is while the server is told that it is done with, in ms. */
const ACKING = 5000;

/** Gives an item back to the server, to come again after so many ms. */
export function nak(delay: number): string {
  return delay > 0 ? `-NAK {"delay":${Math.round(delay * 1e6)}}` : "-NAK";
}

/** The items that the owner of a group has from the server: in which order they go into hands, and in whose they are. */
export class Stock {
  readonly group: QueueGroup = new QueueGroup();
  readonly gate: Gate;
  readonly held: Map<number, HeldItem> = new Map();
  readonly #clock: Pick<Clock, "mono">;
  readonly #acks: Acks;
  readonly #done: DoneItems;
  readonly #freed: () => void;
  #bytes = 0;

  /** @param freed hears that those behind an item may go */
  constructor(clock: Pick<Clock, "mono">, acks: Acks, done: DoneItems, freed: () => void) {
    this.#freed = freed;
    this.#clock = clock;
    this.#acks = acks;
    this.#done = done;
    this.gate = new Gate({
      admit: (item) => this.group.add(item, this.#clock.mono()),
      giveBack: ({ ack, item }, delay) => {
        this.#drop(item);
        this.#acks.tell(item?.ack ?? ack, nak(delay));
      },
    });
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many nobody has in hands. */
  free(now: number): number {
    return this.held.size - this.group.leasedAt(now);
  }

  add(item: HeldItem): void {
    this.held.set(item.sequence, item);
    this.#bytes += item.size;
    this.gate.add(item);
  }

  /** @param bytes how large all of them may be; one comes in any case */
  take(max: number, lease: number, bytes: number): HeldItem[] {
    const now = this.#clock.mono();
    if (bytes === Infinity) return this.#taken(now, max, lease);
    const taken: HeldItem[] = [];
    for (let size = 0; taken.length < max && size < bytes;) {
      const [item] = this.#taken(now, 1, lease);
      if (item === undefined) break;
      taken.push(item);
      size += item.size + item.ack.length;
    }
    return taken;
  }

  /** Settles what is in somebody's hands. Throws `CONFLICT` when it is not. */
  settle(settlement: Settlement): Promise<void> {
    const { sequence, attempt, verb, ms, ack } = settlement;
    const now = this.#clock.mono();
    const item = this.held.get(sequence);
    const entry = item?.entry;
    if (entry !== undefined && item!.attempt === attempt && entry.isHeld(entry.attempt, now)) {
      if (verb === "ack") return this.#finish(item!, now);
      if (item!.acking !== undefined) throw over(settlement);
      if (verb === "extend") this.group.extend(entry, now, ms);
      else this.group.giveBack(entry, now, ms);
      return Promise.resolve();
    }
    if (verb === "ack" && this.#done.has(sequence)) return this.#acks.send(ack, ACK);
    const claim = this.gate.claims.get(sequence) ??
      (item !== undefined || this.#done.has(sequence) ? undefined : this.claim({ ...settlement, left: 1 }));
    if (claim === undefined || claim.back || claim.attempt !== attempt || claim.until <= now) {
      throw over(settlement);
    }
    return this.#settleClaim(claim, settlement, now);
  }

  /** Somebody says that an item is in hands; `undefined` when it cannot be, any more. */
  claim(claim: Claim): KeptClaim | undefined {
    const { sequence } = claim;
    if (this.#done.has(sequence) || this.gate.claims.has(sequence)) return undefined;
    const item = this.held.get(sequence);
    if (item !== undefined && !this.gate.waiting.includes(item)) return undefined;
    const kept = this.gate.claim(claim, this.#clock.mono());
    if (item === undefined) this.gate.found(sequence);
    return kept;
  }

  /** Lets the server know of all that was not handed back for so long, in ms. */
  touch(age: number): void {
    const now = this.#clock.mono();
    for (const one of this.held.values()) {
      // What stays shall not keep all that came with it.
      if (one.body.byteLength < one.body.buffer.byteLength) one.body = one.body.slice();
      this.#touch(one, now, age);
    }
    for (const one of this.gate.claims.values()) if (!one.back) this.#touch(one, now, age);
  }

  /** Says once more what was done with. */
  repeatDone(): void {
    for (const subject of this.#done.subjects()) this.#acks.tell(subject, ACK);
  }

  /** Gives back what nobody has in hands. */
  giveUp(): void {
    const now = this.#clock.mono();
    for (const { entry, ack } of this.held.values()) {
      if (entry === undefined || !entry.isHeld(entry.attempt, now)) this.#acks.tell(ack, nak(GIVING_UP));
    }
  }

  /**
   * How it stands with the group.
   *
   * @param place up to which place in the stream the server has handed it out
   * @param pending how many there are behind that
   */
  backlog(place: number, pending: number, now: number): QueueBacklog {
    const { held, gate, group } = this;
    let items = pending + gate.strays;
    for (const { item } of gate.claims.values()) if (item === undefined) items++;
    for (const { sequence } of held.values()) if (sequence <= place) items++;
    const since = Math.min(group.oldest?.since ?? now, ...gate.waiting.slice(0, 1).map((item) => item.since));
    return {
      items,
      leased: group.leasedAt(now) + gate.leased(now),
      age: items === 0 ? 0 : Math.max(0, now - since),
    };
  }

  #taken(now: number, max: number, lease: number): HeldItem[] {
    const entries = this.group.take(now, max, lease);
    const taken: HeldItem[] = [];
    for (const entry of entries) {
      const item = entry.item as HeldItem;
      item.entry = entry;
      taken.push(item);
      // The server counts it too, for whoever may be the next owner.
      if (entry.attempt > 1 && item.times < item.attempt) this.#acks.tell(item.ack, nak(0));
    }
    return taken;
  }

  #finish(item: HeldItem, now: number): Promise<void> {
    if (item.key === undefined) {
      this.#finished(item, now);
      return this.#acks.send(item.ack, ACK);
    }
    // Those behind it wait until the server knows: it must not come again after them.
    if (item.acking !== undefined) return item.acking;
    this.group.extend(item.entry!, now, ACKING);
    return item.acking = this.#acks.send(item.ack, ACK).then(() => {
      this.#finished(item, this.#clock.mono());
      this.#freed();
    }).finally(() => item.acking = undefined);
  }

  #finished(item: HeldItem, now: number): void {
    this.group.finish(item.entry!, now);
    this.#drop(item);
    this.#done.add(item.sequence, item.ack);
  }

  #settleClaim(claim: KeptClaim, { verb, ms, ack }: Settlement, now: number): Promise<void> {
    if (verb === "extend") claim.until = now + ms;
    if (verb === "retry") this.gate.release(claim, ms, now);
    if (verb !== "ack") return Promise.resolve();
    claim.until = Math.max(claim.until, now + ACKING);
    return this.#acks.send(ack, ACK).then(() => {
      if (this.gate.claims.get(claim.sequence) !== claim) return;
      this.#drop(claim.item);
      this.#done.add(claim.sequence, ack);
      this.gate.finish(claim);
      this.#freed();
    });
  }

  #drop(item: HeldItem | undefined): void {
    if (item === undefined) return;
    this.held.delete(item.sequence);
    this.#bytes -= item.size;
  }

  #touch(one: { touched: number; readonly ack: string }, now: number, age: number): void {
    if (now - one.touched >= age && this.#acks.tell(one.ack, WORKING)) one.touched = now;
  }
}

/** Says that an item is not, or no longer, in these hands. */
export function over({ verb, id }: Pick<Settlement, "verb" | "id">): CatgaError {
  return leaseOver(verb === "ack" ? "acknowledge" : verb === "retry" ? "give back" : "hold", id);
}
