import { CatgaError, systemFault } from "../../result.ts";
import type { Clock } from "../../ports/runtime.ts";
import { GROWING, type JournalRecord, STEPS } from "./saga_record.ts";

/** What {@linkcode Journal} tells whoever runs the function. */
export interface JournalHost {
  readonly clock: Pick<Clock, "timer">;
  /** The function asked for something else than the last time. */
  diverged(reason: string): void;
  /** The function was told something, and has asked for all that follows from it. */
  told(): void;
}

/**
 * What a function has asked for, in order, and what came of it. A function that runs again must ask for the same in the
 * same order, and is told the outcomes in the order in which it was told them first, with a turn of the event loop in
 * between; so it goes the same way also where branches race.
 */
export class Journal {
  readonly records: JournalRecord[];
  readonly #host: JournalHost;
  readonly #ready: Map<number, () => void> = new Map();
  /** How many characters it has. */
  size: number;
  #asked = 0;
  #orders: number;
  #told = 0;
  #resting = false;
  #frozen = false;

  constructor(records: JournalRecord[], host: JournalHost) {
    this.records = records;
    this.#host = host;
    this.size = JSON.stringify(records).length;
    this.#orders = records.filter(({ order }) => order !== undefined).length;
  }

  /** Whether the function has asked for all that it asked for before. */
  get repeated(): boolean {
    return this.#asked >= this.records.length;
  }

  /** Whether nothing waits to be told. */
  get idle(): boolean {
    return this.#ready.size === 0 && !this.#resting;
  }

  /**
   * The next thing that the function asks for; as it was kept if it did so before, with its place. `undefined` when it
   * asks for something else. Throws `OVERLOADED` when there is no room for more.
   */
  ask(record: JournalRecord): { readonly record: JournalRecord; readonly index: number } | undefined {
    const index = this.#asked;
    const kept = this.records[index];
    if (kept === undefined) {
      this.#makeRoom(record);
      this.records.push(record);
      this.#asked++;
      return { record, index };
    }
    if (shown(kept) !== shown(record) || kept.hash !== record.hash) {
      const more = shown(kept) === shown(record) ? " with another body" : "";
      this.#host.diverged(`it now asks for ${shown(record)}${more} where it asked for ${shown(kept)}`);
      return undefined;
    }
    this.#asked++;
    return { record: kept, index };
  }

  /** Something has come to its end: it is told when those before it were. */
  settle(record: JournalRecord, tell: () => void): void {
    if (record.order === undefined) {
      record.order = this.#orders++;
      this.size += JSON.stringify([record.value, record.fault, record.undo]).length + 40;
    }
    this.#ready.set(record.order, tell);
    this.#tellNext();
  }

  /** The function is told nothing any more. */
  freeze(): void {
    this.#frozen = true;
  }

  #makeRoom(record: JournalRecord): void {
    const length = JSON.stringify(record).length + 1;
    if (this.records.length >= STEPS || this.size + length > GROWING) {
      const message = `Cannot do "${record.key}": the saga has ${this.records.length} steps and ` +
        `${this.size} characters already, and may have ${STEPS} and ${GROWING}; let it begin others instead`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    this.size += length;
  }

  #tellNext(): void {
    if (this.#resting || this.#frozen) return;
    const tell = this.#ready.get(this.#told);
    if (tell === undefined) return;
    this.#ready.delete(this.#told++);
    this.#resting = true;
    // Only once the event loop has turned is everything asked for that follows from it.
    this.#host.clock.timer(0, () => {
      this.#resting = false;
      this.#tellNext();
      this.#host.told();
    });
    tell();
  }
}

function shown({ kind, key, type }: JournalRecord): string {
  return `the ${kind} "${key}"${type === undefined ? "" : ` (${type})`}`;
}
