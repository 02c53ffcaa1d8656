/** The longest token that stands in a subject as it is; a longer name is named by its digest. */
const LONGEST = 160;

/**
 * A text as one token of a subject: what a subject takes stays, every other byte becomes `_` and two digits, so no two
 * texts share a token and none reaches beyond it. `undefined` if the token would be too long.
 */
export function encodeToken(text: string): string | undefined {
  if (text === "") return "_";
  const token = /^[A-Za-z0-9-]+$/.test(text) ? text : encodeBytes(text);
  return token.length > LONGEST ? undefined : token;
}

/** The text that became this token; `undefined` for what {@linkcode encodeToken} never makes. */
export function decodeToken(token: string): string | undefined {
  if (token === "_") return "";
  if (!/^(?:[A-Za-z0-9-]|_[0-9a-f]{2})+$/.test(token)) return undefined;
  try {
    const text = decodeURIComponent(token.replaceAll("_", "%"));
    return encodeToken(text) === token ? text : undefined;
  } catch {
    return undefined;
  }
}

function encodeBytes(text: string): string {
  let token = "";
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte);
    token += /[A-Za-z0-9-]/.test(character) ? character : `_${byte.toString(16).padStart(2, "0")}`;
  }
  return token;
}
