import { headers, type MsgHdrs } from "@nats-io/nats-core";
import type { StoreNames } from "./store_names.ts";

/** The header that says what a message of the store is. */
const HEADER = "Catga-Entry";

/** What a writer says of a message. */
export interface Mark {
  /** Whether something is kept from here on, or nothing any longer. */
  readonly kind: "put" | "gone";
  /** Names the write, so that its writer knows it again. */
  readonly id: string;
  /** How long it stays, in ms. */
  readonly ttl?: number | undefined;
  /** The key, where the subject does not tell it. */
  readonly key?: string | undefined;
}

/** A message of the stream: the last one of its subject when it was read. */
export interface Kept {
  readonly subject: string;
  readonly sequence: number;
  /** When the server took it, in ms since 1970 by its clock. */
  readonly stamp: number;
  /** What its writer says of it; `undefined` if no store wrote it. */
  readonly mark: Mark | undefined;
  readonly data: Uint8Array;
}

/** The headers of a write. */
export function headersOf({ kind, id, ttl, key }: Mark): MsgHdrs {
  const all = headers();
  const parts = [kind, id, ttl ?? "-", ...(key === undefined ? [] : [encodeURIComponent(key)])];
  all.set(HEADER, parts.join(" "));
  return all;
}

/** A mark that an entry has gone, before it is named. */
export function goneOf({ mark }: Kept): Omit<Mark, "id"> {
  return { kind: "gone", key: mark?.key };
}

/** What the headers of a message say. */
export function markOf(given: MsgHdrs | undefined): Mark | undefined {
  return given === undefined ? undefined : readMark(given.get(HEADER));
}

/** What the raw headers of a message say. */
export function markOfBytes(raw: Uint8Array): Mark | undefined {
  const line = new TextDecoder().decode(raw).split("\r\n").find((each) => each.startsWith(`${HEADER}:`));
  return line === undefined ? undefined : readMark(line.slice(HEADER.length + 1).trim());
}

/** The key of a message; `undefined` if it is none of the store's. */
export function keyOf({ subject, mark }: Kept, names: StoreNames): string | undefined {
  if (mark === undefined) return undefined;
  const { key } = mark;
  if (key === undefined) return names.key(subject);
  return names.fits(subject, key) ? key : undefined;
}

/** The text of a message; `undefined` if it is none. */
export function textOf({ data }: Kept): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}

/** A time as the server writes it, such as `2026-01-31T12:00:00.123456789Z`, in ms since 1970. */
export function readTime(text: string): number {
  const [, seconds, fraction = "0", zone] = /^([^.Z+]+)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  return Date.parse(`${seconds}${zone}`) + Number(`0.${fraction}`) * 1000;
}

function readMark(text: string): Mark | undefined {
  const [kind, id = "", span = "", name] = text.split(" ");
  const ttl = span === "-" ? undefined : Number(span);
  if (
    (kind !== "put" && kind !== "gone") || id === "" || !(ttl === undefined || (ttl > 0 && ttl < Infinity))
  ) {
    return undefined;
  }
  if (name === undefined) return { kind, id, ttl };
  try {
    return { kind, id, ttl, key: decodeURIComponent(name) };
  } catch {
    return undefined;
  }
}
