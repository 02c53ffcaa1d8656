import type { Codec } from "../ports/codec.ts";
import type { Frame } from "../ports/transport.ts";
import { json } from "./json.ts";
import { decodeMessage, encodeMessage, WIRE_VERSION, WireError, type WireMessage } from "./envelope.ts";

/** A message that is kept until somebody takes it. */
export interface Parcel extends WireMessage {
  readonly id: string;
}

/** Writes a message that is to be kept. Throws when its body cannot be encoded. */
export function encodeParcel(codec: Codec, parcel: Parcel): Frame {
  if (codec === json && isPlain(parcel)) {
    // What `encode` would make, for the body alone: that is the part which costs something.
    const body = JSON.stringify(parcel.body) ?? "null";
    return `[${WIRE_VERSION},"parcel",["${parcel.type}","${parcel.id}",-1,${body}]]`;
  }
  return codec.encode([WIRE_VERSION, "parcel", encodeMessage(parcel, -1)]);
}

function isPlain({ type, id, body, correlationId, causationId, headers }: Parcel): boolean {
  return body !== undefined && correlationId === undefined && causationId === undefined &&
    headers === undefined && standsInJson(id) && standsInJson(type);
}

/** Whether a text has nothing that JSON writes in another way. */
function standsInJson(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}

/** Reads a message that was kept. Throws when it is none. */
export function decodeParcel(codec: Codec, frame: Frame): Parcel {
  const parts = codec.decode(frame);
  if (!Array.isArray(parts) || parts[1] !== "parcel") {
    throw new WireError("Cannot read what was kept: it is not a message");
  }
  if (parts[0] !== WIRE_VERSION) {
    throw new WireError(
      `Cannot read what was kept: it has format ${String(parts[0])}, this node speaks ${WIRE_VERSION}`,
    );
  }
  const { id, ...message } = decodeMessage(parts[2]);
  if (id === undefined) throw new WireError("Cannot read what was kept: it has no id");
  return { ...message, id };
}
