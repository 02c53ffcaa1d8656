import { lastPosition } from "./events_format.ts";
import type { EventLog } from "./events_log.ts";

/** How many messages are looked at at once. */
const SOME = 16;

/** Looks for the last event of all. What somebody else put behind it is looked at once. */
export class EventHead {
  readonly #log: EventLog;
  /** The last message, and the position of the last event before or in it. */
  #known: { readonly seq: number; readonly position: number } = { seq: 0, position: 0 };

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** The position of the last event; 0 if there is none. */
  async position(signal: AbortSignal | undefined): Promise<number> {
    const last = await this.#log.last(undefined, signal);
    if (last === undefined) return 0;
    const { seq, head } = last;
    if (head !== undefined) return lastPosition(seq, head);
    const known = this.#known;
    if (known.seq === seq) return known.position;
    const position = await this.#behind(known, seq - 1, signal);
    if (this.#known.seq < seq) this.#known = { seq, position };
    return position;
  }

  /** The events there were are gone. */
  clear(): void {
    this.#known = { seq: 0, position: 0 };
  }

  async #behind(
    known: { readonly seq: number; readonly position: number },
    from: number,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    for (let seq = from; seq > known.seq; seq -= SOME) {
      const count = Math.min(SOME, seq - known.seq);
      const asked = Array.from({ length: count }, (_, at) => this.#log.at(seq - at, signal));
      const found = (await Promise.all(asked)).find((message) => message?.head !== undefined);
      if (found !== undefined) return lastPosition(found.seq, found.head);
    }
    return known.position;
  }
}
