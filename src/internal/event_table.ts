/** An event as it is kept. */
interface Kept {
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly meta?: string | undefined;
  readonly stream: string;
  readonly version: number;
  readonly position: number;
  readonly at: number;
}

type Given = Pick<Kept, "id" | "type" | "data" | "meta">;

interface Stream {
  readonly events: Kept[];
  /** The version of each event by its id; made once looking through the events takes too long. */
  versions: Map<string, number> | undefined;
}

/** What came of an append. */
export type AppendedTo =
  | { readonly type: "done"; readonly version: number; readonly position: number }
  | { readonly type: "conflict"; readonly found: number }
  | { readonly type: "full" };

/** How much a table takes. */
export interface EventLimits {
  readonly events: number;
  /** Two for each character. */
  readonly bytes: number;
}

/** From how many events on a stream has its ids in a map. */
const MAPPED = 16;

/** Streams of events with one order over all of them. */
export class EventTable {
  readonly #streams: Map<string, Stream> = new Map();
  readonly #log: Kept[] = [];
  readonly #limits: EventLimits;
  #bytes = 0;
  #at = -Infinity;

  constructor(limits: EventLimits) {
    this.#limits = limits;
  }

  /** The position of the last event. */
  get head(): number {
    return this.#log.length;
  }

  /**
   * Appends all events or none.
   *
   * @param isExpected whether a stream at a version is as the caller wants it
   */
  append(
    now: number,
    name: string,
    given: readonly Given[],
    isExpected: (version: number) => boolean,
  ): AppendedTo {
    const stream = this.#streams.get(name);
    const found = stream?.events.length ?? 0;
    if (stream !== undefined && given.length > 0) {
      const last = given.length - 1;
      const first = versionOf(stream, given[0]!.id);
      if (first !== undefined && given.every(({ id }, i) => stream.events[first - 1 + i]?.id === id)) {
        return done(stream.events[first - 1 + last]!);
      }
      if (given.some(({ id }) => versionOf(stream, id) !== undefined)) return { type: "conflict", found };
    }
    if (!isExpected(found)) return { type: "conflict", found };
    if (given.length === 0) {
      return { type: "done", version: found, position: stream?.events.at(-1)?.position ?? 0 };
    }
    return this.#add(now, name, stream, given);
  }

  read(name: string, from: number | undefined, limit: number, backward: boolean): readonly Kept[] {
    const events = this.#streams.get(name)?.events ?? [];
    if (!backward) return events.slice((from ?? 1) - 1, (from ?? 1) - 1 + limit);
    const end = Math.min(from ?? events.length, events.length);
    return events.slice(Math.max(end - limit, 0), end).reverse();
  }

  find(name: string, id: string): Kept | undefined {
    const stream = this.#streams.get(name);
    const version = stream && versionOf(stream, id);
    return version === undefined ? undefined : stream!.events[version - 1];
  }

  readAll(after: number, limit: number): readonly Kept[] {
    return this.#log.slice(after, after + limit);
  }

  #add(now: number, name: string, known: Stream | undefined, given: readonly Given[]): AppendedTo {
    const { events, bytes } = this.#limits;
    let size = known === undefined ? 2 * name.length : 0;
    for (const event of given) size += sizeOf(event);
    if (this.#log.length + given.length > events || this.#bytes + size > bytes) return { type: "full" };
    this.#bytes += size;
    const stream: Stream = known ?? { events: [], versions: undefined };
    if (known === undefined) this.#streams.set(name, stream);
    // The clock may be set back; what is kept never goes back.
    const at = this.#at = Math.max(this.#at, now);
    for (const { id, type, data, meta } of given) {
      const version = stream.events.length + 1;
      const position = this.#log.length + 1;
      const event: Kept = Object.freeze(
        meta === undefined
          ? { id, type, data, stream: name, version, position, at }
          : { id, type, data, meta, stream: name, version, position, at },
      );
      stream.events.push(event);
      stream.versions?.set(id, version);
      this.#log.push(event);
    }
    return done(this.#log[this.#log.length - 1]!);
  }
}

function done({ version, position }: Kept): AppendedTo {
  return { type: "done", version, position };
}

function versionOf(stream: Stream, id: string): number | undefined {
  const { events } = stream;
  if (events.length < MAPPED) {
    for (const event of events) if (event.id === id) return event.version;
    return undefined;
  }
  stream.versions ??= new Map(events.map(({ id, version }) => [id, version]));
  return stream.versions.get(id);
}

function sizeOf({ id, type, data, meta }: Given): number {
  return 2 * (id.length + type.length + data.length + (meta?.length ?? 0));
}
