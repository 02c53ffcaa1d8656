import type { QueueItem } from "../../src/ports/queue.ts";
import type { Frame } from "../../src/ports/transport.ts";

/** What a message of the queue carries. */
export interface QueueBody {
  readonly id: string;
  readonly key: string | undefined;
  /** How long it is kept back after it was pushed, in ms. */
  readonly delay: number;
  /** The payload, if it is text. */
  readonly text: string | undefined;
}

/** How many bytes the line in front may have. */
const LONGEST_HEAD = 64;
const NEWLINE = 10;

const encoder: TextEncoder = new TextEncoder();
const decoder: TextDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * An item as one message: a line with the lengths of id and key in characters (none: `-`), the delay in ms and, where the
 * payload is bytes, the length of id and key in bytes; then id, key and payload one behind the other.
 */
export function encodeBody({ id, key, payload, delay = 0 }: QueueItem): Frame {
  const head = `${id.length},${key === undefined ? "-" : key.length},${delay}`;
  const names = key === undefined ? id : id + key;
  if (typeof payload === "string") return `${head}\n${names}${payload}`;
  const text = encoder.encode(names);
  const start = encoder.encode(`${head},${text.length}\n`);
  const bytes = new Uint8Array(start.length + text.length + payload.length);
  bytes.set(start);
  bytes.set(text, start.length);
  bytes.set(payload, start.length + text.length);
  return bytes;
}

/** What is in such bytes; `undefined` for those that no queue has written. */
export function decodeBody(bytes: Uint8Array): QueueBody | undefined {
  const names = namesEnd(bytes);
  const whole = decoder.decode(names === undefined ? bytes : bytes.subarray(0, names));
  const end = whole.indexOf("\n");
  const head = /^(\d+),(\d+|-),([\d.e+-]+)(?:,\d+)?$/.exec(whole.slice(0, Math.min(end, LONGEST_HEAD)));
  if (head === null) return undefined;
  const [, idLength, keyLength, delay] = head;
  const keyStart = end + 1 + Number(idLength);
  const keyEnd = keyStart + (keyLength === "-" ? 0 : Number(keyLength));
  if (keyStart === end + 1 || keyEnd > whole.length || !(Number(delay) >= 0 && Number(delay) < Infinity)) {
    return undefined;
  }
  return {
    id: whole.slice(end + 1, keyStart),
    key: keyLength === "-" ? undefined : whole.slice(keyStart, keyEnd),
    delay: Number(delay),
    text: names === undefined ? whole.slice(keyEnd) : undefined,
  };
}

/** The payload that is not text, as its receiver's own; of bytes that {@linkcode decodeBody} takes. */
export function bytesOf(bytes: Uint8Array): Uint8Array {
  return bytes.slice(namesEnd(bytes));
}

/** Where the payload begins, if it is bytes. */
function namesEnd(bytes: Uint8Array): number | undefined {
  const end = bytes.indexOf(NEWLINE);
  if (end < 0 || end > LONGEST_HEAD) return undefined;
  let [commas, length] = [0, 0];
  for (let at = 0; at < end; at++) {
    if (bytes[at] === 44) commas++;
    else if (commas === 3) length = length * 10 + bytes[at]! - 48;
  }
  return commas < 3 ? undefined : end + 1 + length;
}
