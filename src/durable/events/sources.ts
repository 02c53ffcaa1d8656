import type { StoredEvent } from "../../ports/event_store.ts";
import { EventCodec } from "./event_codec.ts";
import type { EventOf, EventTypes, Recorded } from "./event_types.ts";

/**
 * The kinds of streams that something reads, by name, with the types of their events. All events of these streams must
 * be readable; those of other streams do not matter.
 */
export type Sources = { readonly [kind: string]: EventTypes };

/** The events of some kinds of streams, as they are read. */
export type EventsOf<S extends Sources> = { [K in keyof S]: Recorded<EventOf<S[K]>> }[keyof S];

/** Reads the events of some kinds of streams, and passes over the others. */
export class SourceReader<S extends Sources> {
  readonly #codecs: Map<string, EventCodec> = new Map();

  constructor(sources: S) {
    for (const [kind, types] of Object.entries(sources)) this.#codecs.set(kind, new EventCodec(kind, types));
    if (this.#codecs.size === 0) {
      throw new RangeError("Cannot read events: there are no sources to read them from");
    }
  }

  /** `undefined` for an event of another kind of stream. Fails with `SERIALIZATION` for one that cannot be read. */
  decode(stored: StoredEvent): EventsOf<S> | Promise<EventsOf<S>> | undefined {
    const kind = stored.stream.slice(0, stored.stream.indexOf("/"));
    const decoded = this.#codecs.get(kind)?.decode(stored);
    return decoded as EventsOf<S> | Promise<EventsOf<S>> | undefined;
  }
}
