import { base64url } from "../internal/base64url.ts";
import type { Signer } from "../ports/runtime.ts";

/**
 * A TOY in place of HMAC-SHA-256 and SHA-256: it answers at once, 32 bytes that change with every bit that goes in,
 * and gives NO SECURITY whatsoever. Real hashes come from the platform's threads, whose timing no seed controls.
 */
export function toySigner(): Signer {
  return {
    hmac: (key, text) => mix(`${key.length}:${key}${text}`),
    hash: (body) => mix(body),
  };
}

const utf8 = new TextEncoder();

function mix(body: string | Uint8Array): string {
  const bytes = typeof body === "string" ? utf8.encode(body) : body;
  const state = new Uint32Array([
    0x243f6a88,
    0x85a308d3,
    0x13198a2e,
    0x03707344,
    0xa4093822,
    0x299f31d0,
    8,
    bytes.length,
  ]);
  for (let at = 0; at < bytes.length + 32; at++) {
    const lane = at & 7;
    const before = state[(lane + 7) & 7]!;
    const mixed = Math.imul(state[lane]! ^ (bytes[at] ?? 0x80) ^ (before >>> 15) ^ (before << 7), 0x85ebca6b);
    state[lane] = mixed ^ (mixed >>> 13);
  }
  return base64url(new Uint8Array(state.buffer));
}
