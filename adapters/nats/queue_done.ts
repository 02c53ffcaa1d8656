import { Fifo } from "../../src/internal/fifo.ts";

/** How many are remembered. */
const LIMIT = 32_768;

/** What was done with lately, so that it is not handed out again when the server has not heard of it. */
export class DoneItems {
  readonly #order: Fifo<number> = new Fifo();
  readonly #subjects: Map<number, string> = new Map();

  /** @param ack where it is acknowledged */
  add(sequence: number, ack: string): void {
    if (!this.#subjects.has(sequence)) this.#order.push(sequence);
    this.#subjects.set(sequence, ack);
    if (this.#order.size > LIMIT) this.#subjects.delete(this.#order.shift()!);
  }

  has(sequence: number): boolean {
    return this.#subjects.has(sequence);
  }

  /** Where all of them are acknowledged. */
  subjects(): Iterable<string> {
    return this.#subjects.values();
  }
}
