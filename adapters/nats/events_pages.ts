import type { StoredEvent } from "../../src/ports/event_store.ts";
import { readBulk } from "./events_bulk.ts";
import { decodeEvents, type KeptMessage, PLACES } from "./events_format.ts";
import type { StreamIndex } from "./events_index.ts";
import type { EventLog } from "./events_log.ts";

/** How many bytes of messages a page has before it takes no more. */
const SIZE = 4 * 2 ** 20;
/** How many messages are asked for at once, and from how many on a consumer brings them. */
const SOME = 16;
const MANY = 64;

/** What {@linkcode readStream} takes. */
export interface StreamRange {
  readonly from: number;
  readonly limit: number;
  readonly backward: boolean;
  readonly signal: AbortSignal | undefined;
}

/** A page that grows until it has enough events, or enough of them. */
class Page {
  readonly events: StoredEvent[] = [];
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.events.length >= this.#limit || this.#size >= SIZE;
  }

  get left(): number {
    return this.#limit - this.events.length;
  }

  /** Takes what it has room for; answers whether there is room for more. */
  add(message: KeptMessage, wanted: (event: StoredEvent) => boolean, backward = false): boolean {
    if (message.head === undefined) return !this.full;
    this.#size += message.data.length;
    const events = decodeEvents(message).filter(wanted);
    for (const event of backward ? events.reverse() : events) if (this.left > 0) this.events.push(event);
    return !this.full;
  }
}

/** A page of a stream, whose index is up to date. */
export async function readStream(
  log: EventLog,
  subject: string,
  index: StreamIndex,
  { from, limit, backward, signal }: StreamRange,
): Promise<readonly StoredEvent[]> {
  const { messages, version } = index;
  if (messages === 0 || (!backward && from > version)) return [];
  const page = new Page(limit);
  const wanted = (event: StoredEvent): boolean => backward ? event.version <= from : event.version >= from;
  const first = index.messageOf(from);
  const last = backward ? 0 : Math.min(index.messageOf(from + limit - 1), messages - 1);
  if (!backward && last - first >= MANY) {
    const range = { subject, from: index.seqOf(first), most: last - first + 1, signal };
    await readBulk(log, range, (message) => page.add(message, wanted));
    return page.events;
  }
  const step = backward ? -1 : 1;
  for (let message = first; (last - message) * step >= 0 && !page.full;) {
    const count = Math.min(SOME, (last - message) * step + 1, page.left);
    const seqs = Array.from({ length: count }, (_, at) => index.seqOf(message + at * step));
    for (const kept of await Promise.all(seqs.map((seq) => log.at(seq, signal)))) {
      if (kept !== undefined && !page.add(kept, wanted, backward)) break;
    }
    message += step * count;
  }
  return page.events;
}

/** A page of all events after a position. */
export async function readAfter(
  log: EventLog,
  after: number,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<readonly StoredEvent[]> {
  const page = new Page(limit);
  const wanted = (event: StoredEvent): boolean => event.position > after;
  let from = Math.max(1, Math.floor(after / PLACES));
  // A page of what has just come is short, a whole one long.
  for (let count = 2; !page.full; count = SOME) {
    const asked = Array.from({ length: count }, (_, at) => log.next(from + at, signal));
    for (const kept of await Promise.all(asked)) {
      if (kept === undefined) return page.events;
      if (kept.seq < from) continue;
      from = kept.seq + 1;
      if (!page.add(kept, wanted)) return page.events;
    }
    if (count === SOME && page.left >= MANY) {
      await readBulk(log, { from, most: page.left, signal }, (message) => {
        from = message.seq + 1;
        return page.add(message, wanted);
      });
      // Where all of them were somebody else's, there may be more.
      if (page.events.length > 0) return page.events;
    }
  }
  return page.events;
}
