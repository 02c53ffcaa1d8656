import { CatgaError, systemFault } from "../../src/result.ts";
import { Lru } from "../../src/internal/lru.ts";
import { readBulk } from "./events_bulk.ts";
import type { KeptMessage } from "./events_format.ts";
import { StreamIndex } from "./events_index.ts";
import type { EventLog } from "./events_log.ts";

/** How many streams are kept in mind, and how many of their events and messages together. */
const STREAMS = 10_000;
const EVENTS = 1_000_000;
/** How many messages are read one by one, from the last one back, before a consumer brings what is missing. */
const STEPS = 8;

/** The indexes of the streams that were used last, by their subjects. */
export class StreamIndexes {
  readonly #log: EventLog;
  readonly #kept: Lru<StreamIndex> = new Lru({ entries: STREAMS, size: EVENTS });

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** What is known of a stream; others may have appended to it since. */
  known(subject: string): StreamIndex | undefined {
    return this.#kept.get(subject, 0);
  }

  /** Takes an index that has grown. */
  keep(subject: string, index: StreamIndex): void {
    this.#kept.set(subject, index, Infinity, index.size);
  }

  /** Nothing that is known is so any longer. */
  clear(): void {
    this.#kept.clear();
  }

  /** The index of a stream with all that is there now. */
  async fresh(subject: string, signal: AbortSignal | undefined): Promise<StreamIndex> {
    const last = await this.#log.last(subject, signal);
    const known = this.known(subject);
    if (last === undefined || (known !== undefined && known.last > last.seq)) {
      this.#kept.delete(subject);
      if (last === undefined) return new StreamIndex();
    }
    const index = this.known(subject) ?? new StreamIndex();
    if (index.last < last.seq) await this.#grow(subject, index, last, signal);
    this.keep(subject, index);
    return index;
  }

  async #grow(
    subject: string,
    index: StreamIndex,
    last: KeptMessage,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const missing = [last];
    for (let first = last; missing.length <= STEPS && first.head !== undefined;) {
      if (first.head.before === index.last) {
        for (const { seq, head } of missing.reverse()) index.add(seq, head);
        return;
      }
      const before = await this.#log.at(first.head.before, signal);
      if (before === undefined || before.seq <= index.last) break;
      missing.push(first = before);
    }
    const range = { subject, from: index.last + 1, most: Infinity, heads: true, signal };
    await readBulk(this.#log, range, ({ seq, head }) => {
      index.add(seq, head);
      return seq < last.seq;
    });
    if (index.last < last.seq) throw behind(subject);
  }
}

function behind(subject: string): CatgaError {
  const message = `Cannot read "${subject}": the server that was asked lacks what another one has; ask again`;
  return new CatgaError(systemFault("UNAVAILABLE", message));
}
