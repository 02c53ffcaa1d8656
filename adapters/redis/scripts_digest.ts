import { type Script, sourceOf } from "./scripts.ts";

const digests = new WeakMap<Script, string>();

/** The name by which Redis knows a script that it was given once: the SHA-1 of what is sent, in hex. */
export function digestOf(script: Script): string {
  let digest = digests.get(script);
  if (digest === undefined) digests.set(script, digest = sha1(sourceOf(script)));
  return digest;
}

/** SHA-1 of a text as UTF-8, in hex (FIPS 180-4). It names scripts and keeps no secret. */
export function sha1(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const blocks = new DataView(new ArrayBuffer(((bytes.length + 72) >> 6) << 6));
  new Uint8Array(blocks.buffer).set(bytes);
  blocks.setUint8(bytes.length, 0x80);
  blocks.setUint32(blocks.byteLength - 4, bytes.length * 8);
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const words = new Uint32Array(80);
  for (let at = 0; at < blocks.byteLength; at += 64) mix(state, words, blocks, at);
  return state.map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
}

function mix(state: number[], words: Uint32Array, blocks: DataView, at: number): void {
  for (let t = 0; t < 80; t++) {
    words[t] = t < 16
      ? blocks.getUint32(at + t * 4)
      : turn(words[t - 3]! ^ words[t - 8]! ^ words[t - 14]! ^ words[t - 16]!, 1);
  }
  let [a, b, c, d, e] = state as [number, number, number, number, number];
  for (let t = 0; t < 80; t++) {
    const next = (turn(a, 5) + step(t, b, c, d) + e + words[t]!) | 0;
    [e, d, c, b, a] = [d, c, turn(b, 30), a, next];
  }
  for (const [i, part] of [a, b, c, d, e].entries()) state[i] = (state[i]! + part) | 0;
}

function step(t: number, b: number, c: number, d: number): number {
  if (t < 20) return ((b & c) | (~b & d)) + 0x5a827999;
  if (t < 40) return (b ^ c ^ d) + 0x6ed9eba1;
  if (t < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
  return (b ^ c ^ d) + 0xca62c1d6;
}

function turn(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
