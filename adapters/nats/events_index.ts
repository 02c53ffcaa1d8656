import { type AppendHead, PLACES } from "./events_format.ts";

/** Which messages a stream of events has, and which ids may be in it: what appends and reads need to know. */
export class StreamIndex {
  /** The sequence of the last message of its subject; 0 if there is none. */
  last: number = 0;
  /** The version of its last event. */
  version: number = 0;
  readonly #seqs: number[] = [];
  readonly #firsts: number[] = [];
  /** The version of each event by the hash of its id, or, where that is taken, by the next number that is free. */
  readonly #versions: Map<number, number> = new Map();

  /** How many messages it has. */
  get messages(): number {
    return this.#seqs.length;
  }

  /** How many events and messages it keeps in mind. */
  get size(): number {
    return 1 + this.#versions.size + this.#seqs.length;
  }

  /** Takes the next message of the subject; one that it knows, or that somebody else put there, is passed over. */
  add(seq: number, head: AppendHead | undefined): void {
    if (seq <= this.last) return;
    this.last = seq;
    if (head === undefined || head.version <= this.version) return;
    this.#seqs.push(seq);
    this.#firsts.push(head.version);
    for (const [place, hash] of head.hashes.entries()) this.#note(hash, head.version + place);
    this.version = head.version + head.hashes.length - 1;
  }

  /** The versions of events whose ids may have this hash. */
  candidates(hash: number): readonly number[] {
    const found: number[] = [];
    for (let slot = hash;; slot++) {
      const version = this.#versions.get(slot);
      if (version === undefined) return found;
      found.push(version);
    }
  }

  /** Which message has the event of a version, counted from 0; the next one where none has it. */
  messageOf(version: number): number {
    let low = 0, high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#firsts[middle]! <= version) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }

  /** The sequence of a message. */
  seqOf(message: number): number {
    return this.#seqs[message]!;
  }

  /** The position of the event of a version; 0 for version 0. */
  positionOf(version: number): number {
    if (version === 0) return 0;
    const message = this.messageOf(version);
    return this.#seqs[message]! * PLACES + version - this.#firsts[message]!;
  }

  #note(hash: number, version: number): void {
    let slot = hash;
    while (this.#versions.has(slot)) slot++;
    this.#versions.set(slot, version);
  }
}
