const FIRST = "\u0000";
const SECOND = "\u0001";

/**
 * A text as it is kept: Deno hands texts out only up to their first zero character, so that one is written in two others.
 * The order of texts and what they begin with stay the same.
 */
export function toSql(text: string): string {
  if (!text.includes(FIRST) && !text.includes(SECOND)) return text;
  return text.replaceAll(SECOND, SECOND + "\u0002").replaceAll(FIRST, SECOND + SECOND);
}

/** A text as it was given. */
export function fromSql(text: string): string {
  if (!text.includes(SECOND)) return text;
  let whole = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    whole += character !== SECOND ? character : text[++at] === SECOND ? FIRST : SECOND;
  }
  return whole;
}

/** The least text that comes after all that begin like this; `undefined` if there is none. */
export function afterPrefix(prefix: string): string | undefined {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const code = last.codePointAt(0)!;
    if (code < 0x10ffff) return points.join("") + String.fromCodePoint(code === 0xd7ff ? 0xe000 : code + 1);
  }
  return undefined;
}
