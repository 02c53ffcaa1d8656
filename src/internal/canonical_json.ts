/** How deep a value may be nested. */
const DEPTH = 64;

/**
 * A value as JSON with one spelling: names sorted, no spaces (RFC 8785, JSON Canonicalization Scheme). What JSON makes
 * equal is equal here too, so a body has one text on both sides of a wire: properties that are `undefined` are left
 * out, `-0` is 0, a `Date` is its text. `undefined` itself is the empty text.
 *
 * Answers `undefined` for what JSON would silently take a part of, or none: instances of classes without `toJSON`,
 * such as a `Map`, functions, symbols, `bigint`, more than 64 levels.
 *
 * @param limit the longest text, in UTF-16 units; `undefined` is answered for what needs more
 */
export function canonicalJson(value: unknown, limit: number): string | undefined {
  if (value === undefined) return "";
  const text = textOf(value, limit, 0);
  return text === undefined || text.length > limit ? undefined : text;
}

function textOf(value: unknown, limit: number, depth: number): string | undefined {
  switch (typeof value) {
    case "string":
      return value.length > limit ? undefined : JSON.stringify(value);
    case "number":
    case "boolean":
      return JSON.stringify(value);
    case "object":
      return value === null ? "null" : textOfObject(value, limit, depth + 1);
    default:
      return undefined;
  }
}

function textOfObject(value: object, limit: number, depth: number): string | undefined {
  if (depth > DEPTH) return undefined;
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON === "function") return textOf(toJSON.call(value, ""), limit, depth);
  if (Object.getOwnPropertySymbols(value).length > 0) return undefined;
  if (Array.isArray(value)) return textOfArray(value, limit, depth);
  const kind: unknown = Object.getPrototypeOf(value);
  const plain = kind === Object.prototype || kind === null || isBytes(value);
  return plain ? textOfRecord(value as Readonly<Record<string, unknown>>, limit, depth) : undefined;
}

function textOfArray(value: readonly unknown[], limit: number, depth: number): string | undefined {
  if (value.length > limit) return undefined;
  let text = "[";
  for (let at = 0; at < value.length; at++) {
    const item = value[at] === undefined ? "null" : textOf(value[at], limit - text.length, depth);
    if (item === undefined || text.length > limit) return undefined;
    text += at === 0 ? item : `,${item}`;
  }
  return `${text}]`;
}

function textOfRecord(
  value: Readonly<Record<string, unknown>>,
  limit: number,
  depth: number,
): string | undefined {
  let text = "{";
  for (const name of Object.keys(value).sort()) {
    if (value[name] === undefined) continue;
    const field = textOf(value[name], limit - text.length, depth);
    if (field === undefined || text.length + name.length > limit) return undefined;
    text += `${text.length === 1 ? "" : ","}${JSON.stringify(name)}:${field}`;
  }
  return `${text}}`;
}

/** Lists of numbers of one kind: JSON writes them as records. */
function isBytes(value: object): boolean {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}
