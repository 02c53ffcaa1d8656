import { CatgaError, systemFault } from "../../src/result.ts";
import type { NewEvent, StoredEvent } from "../../src/ports/event_store.ts";
import { hash32 } from "../../src/internal/hash.ts";

/** The header that says where the events of a message stand. */
export const HEAD = "Catga-Append";
/** How many positions a message takes; more than an append may have events. */
export const PLACES = 1024;
const FORMAT = "1";

/** Where the events of one append stand: what can be read without reading them. */
export interface AppendHead {
  /** The version of the first. */
  readonly version: number;
  /** The sequence of the message before it in its subject; 0 if there was none. */
  readonly before: number;
  /** A hash of the id of each. */
  readonly hashes: readonly number[];
}

/** A message of the events' stream. */
export interface KeptMessage {
  readonly seq: number;
  /** When the server got it, in ms since 1970 by its clock. */
  readonly at: number;
  /** Left out where somebody else put it there. */
  readonly head: AppendHead | undefined;
  readonly data: Uint8Array;
}

/** The head of an append. */
export function headOf(events: readonly NewEvent[], version: number, before: number): AppendHead {
  return { version, before, hashes: events.map(({ id }) => hash32(id)) };
}

/** Writes a head. */
export function encodeHead({ version, before, hashes }: AppendHead): string {
  return `${FORMAT} ${version} ${before} ${hashes.map((hash) => hash.toString(36)).join(",")}`;
}

/** Reads a head. Throws `SERIALIZATION` for one of another format: it must not be passed over. */
export function decodeHead(text: string | undefined, seq: number): AppendHead | undefined {
  if (text === undefined || text === "") return undefined;
  const [format, version, before, hashes = ""] = text.split(" ");
  const head = {
    version: Number(version),
    before: Number(before),
    hashes: hashes.split(",").map((hash) => Number.parseInt(hash, 36)),
  };
  const fits = format === FORMAT && isCount(head.version) && head.version > 0 && isCount(head.before) &&
    head.hashes.every(isCount) && head.hashes.length < PLACES;
  if (!fits) throw unreadable(seq, `its head is ${JSON.stringify(text.slice(0, 40))}`);
  return head;
}

/** Writes the events of an append: the lengths of all texts, then the texts. */
export function encodeEvents(stream: string, events: readonly NewEvent[]): Uint8Array {
  const lengths = [stream.length];
  const texts = [stream];
  for (const { id, type, data, meta } of events) {
    lengths.push(id.length, type.length, data.length, meta?.length ?? -1);
    texts.push(id, type, data, meta ?? "");
  }
  return new TextEncoder().encode(`${lengths.join(",")}\n${texts.join("")}`);
}

/** Reads the events of an append. Throws `SERIALIZATION` for what is none. */
export function decodeEvents({ seq, at, head, data }: KeptMessage): readonly StoredEvent[] {
  const text = decodeText(data, seq);
  const end = text.indexOf("\n");
  const lengths = text.slice(0, end).split(",").map(Number);
  const count = (lengths.length - 1) / 4;
  if (end < 0 || head === undefined || count !== head.hashes.length) {
    throw unreadable(seq, "its head and what it has do not go together");
  }
  let start = end + 1;
  const next = (length: number): string => text.slice(start, start += Math.max(length, 0));
  const stream = next(lengths[0]!);
  const events: StoredEvent[] = [];
  for (let place = 0; place < count; place++) {
    const [id, type, body, meta] = lengths.slice(1 + 4 * place, 5 + 4 * place) as [
      number,
      number,
      number,
      number,
    ];
    const event = {
      id: next(id),
      type: next(type),
      data: next(body),
      stream,
      version: head.version + place,
      position: seq * PLACES + place,
      at,
    };
    events.push(meta < 0 ? event : { ...event, meta: next(meta) });
  }
  if (start !== text.length) throw unreadable(seq, "its texts have other lengths than it says");
  return events;
}

/** The position of the last event of a message. */
export function lastPosition(seq: number, head: AppendHead | undefined): number {
  return seq * PLACES + (head === undefined ? 0 : head.hashes.length - 1);
}

function decodeText(data: Uint8Array, seq: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw unreadable(seq, "it is not UTF-8");
  }
}

function unreadable(seq: number, why: string): CatgaError {
  const message = `Cannot read message ${seq} of the events: ${why}; a newer version may have written it`;
  return new CatgaError(systemFault("SERIALIZATION", message, { seq }));
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
