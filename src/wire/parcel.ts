import type { Codec } from "../ports/codec.ts";
import type { Frame } from "../ports/transport.ts";
import { decodeMessage, encodeMessage, WIRE_VERSION, WireError, type WireMessage } from "./envelope.ts";

/** A message that is kept until somebody takes it. */
export interface Parcel extends WireMessage {
  readonly id: string;
}

/** Writes a message that is to be kept. Throws when its body cannot be encoded. */
export function encodeParcel(codec: Codec, parcel: Parcel): Frame {
  return codec.encode([WIRE_VERSION, "parcel", encodeMessage(parcel, -1)]);
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
