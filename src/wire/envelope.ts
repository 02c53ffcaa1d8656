import { failure, type Fault, ok, type Result } from "../result.ts";
import type { Codec } from "../ports/codec.ts";
import type { Frame } from "../ports/transport.ts";

/** The format of everything nodes say to each other; a node refuses other versions than its own. */
export const WIRE_VERSION = 1;

/** What a frame is about: calls, a stream, event notices, given-up calls, a heartbeat. */
export type FrameKind = "call" | "stream" | "notice" | "cancel" | "beat";

/** A frame with its sender. `(from, incarnation, seq)` never comes twice, so a copy is known as one. */
export interface Envelope {
  readonly kind: FrameKind;
  readonly from: string;
  readonly incarnation: number;
  readonly seq: number;
  readonly items: readonly unknown[];
}

/** A message on the wire. */
export interface WireMessage {
  readonly type: string;
  /** Left out where the frame and the place in it are name enough. */
  id: string | undefined;
  readonly body: unknown;
  readonly correlationId: string | undefined;
  readonly causationId: string | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/** Why something from the wire was refused. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** Writes an envelope. Throws when an item cannot be encoded. */
export function encodeEnvelope(codec: Codec, envelope: Envelope): Frame {
  const { kind, from, incarnation, seq, items } = envelope;
  return codec.encode([WIRE_VERSION, kind, from, incarnation, seq, items]);
}

/** Reads an envelope. Throws when it is none. */
export function decodeEnvelope(codec: Codec, frame: Frame): Envelope {
  const parts = codec.decode(frame);
  if (!Array.isArray(parts)) throw new WireError("Cannot read the frame: it is not an envelope");
  const [version, kind, from, incarnation, seq, items] = parts as readonly unknown[];
  if (version !== WIRE_VERSION) {
    throw new WireError(
      `Cannot read the frame: it has format ${String(version)}, this node speaks ${WIRE_VERSION}`,
    );
  }
  const fits = typeof kind === "string" && typeof from === "string" && from.length <= 128 &&
    isCount(incarnation) &&
    isCount(seq) && Array.isArray(items);
  if (!fits) throw new WireError("Cannot read the frame: its head is malformed");
  return { kind: kind as FrameKind, from, incarnation, seq, items };
}

/** A message from the wire. */
export interface ReceivedMessage extends WireMessage {
  /** How long the caller still waits, in ms; below 0 for ever. */
  readonly remaining: number;
}

/**
 * A message as an item of a frame.
 *
 * @param remaining how long the caller still waits, in ms: clocks differ, durations do not; below 0 for ever
 */
export function encodeMessage(message: WireMessage, remaining: number): unknown {
  const { type, body, correlationId, causationId, headers } = message;
  const id = message.id ?? 0;
  const plain = correlationId === undefined && causationId === undefined && headers === undefined;
  if (plain && body !== undefined) return [type, id, remaining, body];
  if (plain) return [type, id, remaining];
  const meta = { n: body === undefined ? 1 : undefined, c: correlationId, u: causationId, h: headers };
  return [type, id, remaining, body, meta];
}

/** An item of a frame as a message. Throws when it is none. */
export function decodeMessage(item: unknown): ReceivedMessage {
  if (!Array.isArray(item)) throw new WireError("Cannot read the message: it is not a list");
  const [type, name, remaining, body, meta] = item as readonly unknown[];
  const id = typeof name === "string" && name.length <= 256 ? name : undefined;
  if (typeof type !== "string" || typeof remaining !== "number" || (id === undefined && name !== 0)) {
    throw new WireError("Cannot read the message: its head is malformed");
  }
  if (meta === undefined) {
    return {
      type,
      id,
      remaining,
      body,
      correlationId: undefined,
      causationId: undefined,
      headers: undefined,
    };
  }
  const { n, c, u, h } = meta as { n?: unknown; c?: unknown; u?: unknown; h?: unknown };
  return {
    type,
    id,
    remaining,
    body: n === 1 ? undefined : body,
    correlationId: typeof c === "string" ? c : undefined,
    causationId: typeof u === "string" ? u : undefined,
    headers: isHeaders(h) ? h : undefined,
  };
}

/** What came of a call on the other node. */
export interface WireReply {
  readonly index: number;
  /** Whether a handler answered; if not, none was started and the call may run elsewhere. */
  readonly answered: boolean;
  readonly result: Result<unknown, Fault>;
}

/** A reply as an item of a frame: 1 for a value, 0 for a failure, 2 for a call that was not started. */
export function encodeReply(index: number, result: Result<unknown, Fault>, answered = true): unknown {
  if (result.ok) return result.value === undefined ? [index, 1] : [index, 1, result.value];
  const { code, message, data, retryable } = result.error;
  const head = [index, answered ? 0 : 2, code, message, retryable ? 1 : 0];
  return data === undefined ? head : [...head, data];
}

/** An item of a frame as a reply. Throws when it is none. */
export function decodeReply(item: unknown): WireReply {
  const [index, outcome, value, message, retryable, data] = item as readonly unknown[];
  if (typeof index !== "number") throw new WireError("Cannot read the reply: it has no index");
  if (outcome === 1) return { index, answered: true, result: ok(value) };
  if ((outcome !== 0 && outcome !== 2) || typeof value !== "string" || typeof message !== "string") {
    throw new WireError("Cannot read the reply: it is malformed");
  }
  const fault: Fault = { code: value, message, data, retryable: retryable === 1 };
  return { index, answered: outcome === 0, result: failure(fault) };
}

/** What the items of a stream begin with: a value or the end, both counted from 0; a sign of life. 0 is a fault. */
export const VALUE = 1;
/** See {@linkcode VALUE}. */
export const END = 2;
/** See {@linkcode VALUE}. */
export const PULSE = 3;

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isHeaders(value: unknown): value is Readonly<Record<string, string>> {
  return typeof value === "object" && value !== null &&
    Object.values(value).every((v) => typeof v === "string");
}
