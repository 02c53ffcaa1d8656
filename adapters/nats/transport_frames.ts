import type { Frame } from "../../src/ports/transport.ts";

/** A caller says that it has taken replies when they are so much together, as {@linkcode costOf} counts. */
export const CREDIT_AT = 16_384;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A frame of what came; bytes get memory of their own. `undefined` for text that is none. */
export function frameOf(payload: Uint8Array, text: boolean): Frame | undefined {
  if (!text) return payload.slice();
  try {
    return utf8.decode(payload);
  } catch {
    return undefined;
  }
}

/** How much of a window a reply takes up: both sides must count alike, and by what both know. */
export function costOf(frame: Frame): number {
  return frame.length + 256;
}
