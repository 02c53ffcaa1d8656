import type { Frame } from "../../src/ports/transport.ts";

/** What a part of a message says. The first seven go from callers to receivers, the others back. */
export const CALL_TEXT = 1;
export const CALL_BYTES = 2;
export const CANCEL = 3;
/** How much of the replies was taken, as `costOf` counts. */
export const CREDIT = 4;
/** The exchanges that are still waited for, to a node that may have forgotten them. */
export const WAITING = 5;
export const REPLY_TEXT = 8;
export const REPLY_BYTES = 9;
export const END = 10;
export const FAILED = 11;
/** No receiver took the call. */
export const UNTAKEN = 12;
/** A beginning of what is too large for one message. */
export const PIECE = 16;
/** Added to the kind of a part that ends with pieces: its payload is the size of the whole and the last of them. */
export const JOINED = 32;

/** One thing that is said of one exchange. */
export interface Part {
  readonly kind: number;
  /** The exchange, as its caller counts. */
  readonly seq: number;
  readonly payload: Frame;
}

/** A part that came. */
export interface ReceivedPart {
  readonly kind: number;
  readonly seq: number;
  readonly payload: Uint8Array;
}

/** How the first byte of a message reads. */
const VERSION = 0xc1;
/** A part's kind, exchange and length. */
const HEAD = 9;
const SMALLEST = 4096;

const utf8 = new TextEncoder();
const NONE = new Uint8Array();

type Hand = (message: Uint8Array, parts: readonly Part[]) => void;

/** Writes parts into messages, as few as will do. */
export class PartWriter {
  #buffer: Uint8Array = NONE;
  #at = 1;
  readonly #limit: () => number;

  /** @param limit the size of the largest message, in bytes */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /** Hands on each message with the parts that end in it. */
  write(parts: readonly Part[], hand: Hand): void {
    const limit = Math.max(this.#limit(), SMALLEST);
    let first = 0;
    const give = (end: number): void => {
      const isWhole = first === 0 && end === parts.length;
      if (this.#at > 1) hand(this.#take(), isWhole ? parts : parts.slice(first, end));
      first = end;
    };
    for (let index = 0; index < parts.length; index++) {
      const part = parts[index]!;
      const { payload } = part;
      if (this.#at + HEAD + payload.length * 3 <= limit) {
        this.#put(part.kind, part.seq, payload);
        continue;
      }
      const bytes = typeof payload === "string" ? utf8.encode(payload) : payload;
      if (this.#at + HEAD + bytes.length > limit) give(index);
      const size = limit - 1 - HEAD - 4;
      if (bytes.length <= size) this.#put(part.kind, part.seq, bytes);
      else this.#pieces(part, bytes, size, hand);
    }
    give(parts.length);
  }

  /** Forgets what was not handed on. */
  clear(): void {
    this.#at = 1;
  }

  #pieces(part: Part, bytes: Uint8Array, size: number, hand: Hand): void {
    let sent = 0;
    for (; bytes.length - sent > size; sent += size) {
      this.#put(PIECE, part.seq, bytes.subarray(sent, sent + size));
      hand(this.#take(), [part]);
    }
    const last = new Uint8Array(4 + bytes.length - sent);
    putU32(last, 0, bytes.length);
    last.set(bytes.subarray(sent), 4);
    this.#put(part.kind | JOINED, part.seq, last);
  }

  #put(kind: number, seq: number, payload: Frame): void {
    const start = this.#at + HEAD;
    this.#grow(start + (typeof payload === "string" ? payload.length * 3 : payload.length));
    const buffer = this.#buffer;
    let size = payload.length;
    if (typeof payload !== "string") buffer.set(payload, start);
    else if (size > 0) size = utf8.encodeInto(payload, buffer.subarray(start)).written;
    buffer[this.#at] = kind;
    putU32(buffer, this.#at + 1, seq);
    putU32(buffer, this.#at + 5, size);
    this.#at = start + size;
  }

  #grow(size: number): void {
    if (this.#buffer.length >= size) return;
    const grown = new Uint8Array(Math.max(size, this.#buffer.length * 2, SMALLEST));
    grown.set(this.#buffer.subarray(0, this.#at));
    grown[0] = VERSION;
    this.#buffer = grown;
  }

  #take(): Uint8Array {
    const message = this.#buffer.slice(0, this.#at);
    this.#at = 1;
    return message;
  }
}

/** The parts of a message, which share its memory; `undefined` for what no {@linkcode PartWriter} has written. */
export function readParts(message: Uint8Array): readonly ReceivedPart[] | undefined {
  if (message[0] !== VERSION || message.length === 1) return undefined;
  const parts: ReceivedPart[] = [];
  for (let at = 1; at < message.length;) {
    if (message.length - at < HEAD) return undefined;
    const start = at + HEAD;
    const end = start + getU32(message, at + 5);
    if (end > message.length) return undefined;
    parts.push({ kind: message[at]!, seq: getU32(message, at + 1), payload: message.subarray(start, end) });
    at = end;
  }
  return parts;
}

/** What is joined: the size of the whole, and the last piece of it. */
export function readJoined(
  payload: Uint8Array,
): { readonly size: number; readonly last: Uint8Array } | undefined {
  return payload.length < 4 ? undefined : { size: getU32(payload, 0), last: payload.subarray(4) };
}

/** Numbers as a payload. */
export function numbersOf(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 4);
  numbers.forEach((number, at) => putU32(bytes, at * 4, number));
  return bytes;
}

/** The numbers of a payload. */
export function readNumbers(payload: Uint8Array): number[] {
  return Array.from({ length: payload.length >> 2 }, (_, at) => getU32(payload, at * 4));
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
