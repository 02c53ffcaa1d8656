/**
 * A 32-bit hash of a text, the same on every runtime: FNV-1a over its UTF-16 code units (Fowler, Noll and Vo 1991),
 * finished with the mix of MurmurHash3 (Appleby 2011), without which similar texts lie close together.
 */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return mix32(hash);
}

/** Spreads the bits of a 32-bit number: fmix32 of MurmurHash3. Each number has one image of its own. */
export function mix32(bits: number): number {
  let hash = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
