/** Compares two well-formed texts by their code points, which is how UTF-8 compares by its bytes. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

const SURROGATE = /[\ud800-\udfff]/;

/** Sorts well-formed texts by their code points, in their place. */
export function sortByCodePoint(texts: string[]): string[] {
  // Without surrogates the order of units is the same, and a tenth of the work.
  return texts.sort(texts.some((text) => SURROGATE.test(text)) ? byCodePoint : undefined);
}

/** Puts the halves of what is beyond 16 bits behind the characters that have greater units, but are before it. */
function rank(unit: number): number {
  return unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
