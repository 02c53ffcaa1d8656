import type { Claim, HeldItem, KeptClaim } from "./queue_held.ts";

/** What a gate lets through and sends back. */
export interface GateExits {
  /** Takes an item that may be handed out when it is due. */
  admit(item: HeldItem): void;
  /** Gives what was claimed back to the server, to come again after so many ms. */
  giveBack(claim: KeptClaim, delay: number): void;
}

/** How long what was given back may take to come again, in ms. */
const FORGOTTEN = 60_000;

/**
 * Keeps back items with keys as long as others may have some that were stored before them: those that the server has
 * handed to an owner before, or that somebody holds since then. Items without a key go through.
 */
export class Gate {
  readonly #exits: GateExits;
  readonly #claims: Map<number, KeptClaim> = new Map();
  readonly #blocked: Map<string, number> = new Map();
  #waiting: HeldItem[] = [];
  #strays = 0;
  /** Up to which place in the stream they are. */
  #place = 0;

  constructor(exits: GateExits) {
    this.#exits = exits;
  }

  /** How many items are with nobody knows whom. */
  get strays(): number {
    return this.#strays;
  }

  /** So many more are with nobody knows whom, up to a place in the stream. */
  doubt(count: number, place: number): void {
    this.#strays += count;
    this.#place = Math.max(this.#place, place);
  }

  /** Somebody has what stands there, or it came again: one fewer, if it was one of them. */
  found(sequence: number): void {
    if (this.#strays === 0 || sequence > this.#place) return;
    if (this.#strays === 1) this.foundAll();
    else this.#strays--;
  }

  /** There are none, or nobody waits for them any longer. */
  foundAll(): void {
    this.#strays = this.#place = 0;
    this.#open();
  }

  get waiting(): readonly HeldItem[] {
    return this.#waiting;
  }

  get claims(): ReadonlyMap<number, KeptClaim> {
    return this.#claims;
  }

  /** How many are in hands by a claim. */
  leased(now: number): number {
    let count = 0;
    for (const { back, until } of this.#claims.values()) if (!back && until > now) count++;
    return count;
  }

  add(item: HeldItem): void {
    const claim = this.#claims.get(item.sequence);
    if (claim !== undefined) {
      item.before = Math.max(item.before, claim.attempt);
      claim.item = item;
      if (claim.back) this.#drop(claim);
      return;
    }
    if (item.key === undefined || (this.#strays === 0 && !this.#blocked.has(item.key))) {
      return this.#exits.admit(item);
    }
    if (this.#blocked.has(item.key)) item.before = 0;
    this.#waiting.push(item);
  }

  /** Somebody has an item in hands; whether that can still be so. */
  claim({ sequence, ack, key, attempt, left }: Claim, now: number): KeptClaim {
    const at = this.#waiting.findIndex((item) => item.sequence === sequence);
    const item = at < 0 ? undefined : this.#waiting.splice(at, 1)[0];
    const claim = { sequence, ack, key, attempt, until: now + left, back: false, touched: -Infinity, item };
    this.#claims.set(sequence, claim);
    if (key === undefined) return claim;
    this.#blocked.set(key, (this.#blocked.get(key) ?? 0) + 1);
    // Only the first of a key can have been in hands.
    for (const other of this.#waiting) if (other.key === key) other.before = 0;
    return claim;
  }

  /** What was claimed is done with. */
  finish(claim: KeptClaim): void {
    claim.item = undefined;
    this.#drop(claim);
  }

  /** What was claimed is free again after so many ms. */
  release(claim: KeptClaim, delay: number, now: number): void {
    this.#exits.giveBack(claim, delay);
    claim.item = undefined;
    claim.back = true;
    claim.until = now + delay + FORGOTTEN;
  }

  /** Whether something that was given back until then has not come again. */
  awaits(until: number): boolean {
    for (const claim of this.#claims.values()) {
      if (claim.back && claim.until - FORGOTTEN <= until) return true;
    }
    return false;
  }

  /** What was given back until then does not come again: somebody had done with it. */
  forget(until: number): void {
    for (const claim of [...this.#claims.values()]) {
      if (claim.back && claim.until - FORGOTTEN <= until) this.#drop(claim);
    }
  }

  /** Looks for claims that are over. */
  look(now: number): void {
    for (const claim of [...this.#claims.values()]) {
      if (claim.until > now) continue;
      if (claim.back) this.#drop(claim);
      else this.release(claim, 0, now);
    }
  }

  #drop(claim: KeptClaim): void {
    const { sequence, key, item } = claim;
    this.#claims.delete(sequence);
    if (key !== undefined) {
      const others = this.#blocked.get(key)! - 1;
      if (others > 0) this.#blocked.set(key, others);
      else this.#blocked.delete(key);
    }
    if (item !== undefined) this.#waiting.push(item);
    this.#open();
  }

  /** Lets through what nobody is before. */
  #open(): void {
    if (this.#waiting.length === 0) return;
    const all = this.#waiting.sort((a, b) => a.sequence - b.sequence);
    const heads: Set<string> = new Set();
    this.#waiting = [];
    for (const item of all) {
      const { key } = item;
      if (key !== undefined && (this.#strays > 0 || this.#blocked.has(key))) {
        this.#waiting.push(item);
        continue;
      }
      if (key !== undefined && heads.has(key)) item.before = 0;
      if (key !== undefined) heads.add(key);
      this.#exits.admit(item);
    }
  }
}
