import { namedHeader } from "../internal/named_header.ts";
import type { CachePolicy } from "../message/policy.ts";

/** How deep a body or an answer may be nested. */
const DEPTH = 64;

/**
 * A text that is the same for equal bodies and for no others: whatever the order of their properties, but with their
 * types, `-0`, `NaN` and properties that are `undefined` told apart, as handlers of this process can tell them; what a
 * wire cannot tell is for `canonicalJson`. Knows plain objects, arrays, `Date`, `bigint`, typed arrays and
 * `ArrayBuffer`. `undefined` for what it cannot tell apart: functions, symbols, other instances of classes, arrays with
 * holes or names, more than 64 levels.
 *
 * @param limit the longest text, in UTF-16 units; `undefined` is answered for what needs more
 */
export function stableKey(body: unknown, limit: number): string | undefined {
  const text = typeof body === "object" && body !== null
    ? keyOfObject(body, limit, 1)
    : keyOfValue(body, limit);
  return text === undefined || text.length > limit ? undefined : text;
}

/** What keys of a query begin with. No key of one tenant begins with that of another, whatever is in their names. */
export function keyPrefix(type: string, tenant: string | undefined): string {
  return tenant === undefined ? `${type} -` : `${type} ${tenant.length}:${tenant}`;
}

/** The tenant that headers name, in upper or lower case; `undefined` if none, `null` if more than one spelling does. */
export function tenantOf(
  headers: Readonly<Record<string, string>> | undefined,
  header: string,
): string | undefined | null {
  return namedHeader(headers, header);
}

function keyOfValue(value: unknown, limit: number): string | undefined {
  switch (typeof value) {
    case "string":
      return value.length > limit ? undefined : JSON.stringify(value);
    case "number":
      return Object.is(value, -0) ? "-0" : `${value}`;
    case "boolean":
      return value ? "t" : "f";
    case "undefined":
      return "u";
    case "bigint":
      return `${value.toString(16)}n`;
    default:
      return value === null ? "null" : undefined;
  }
}

function keyOfObject(value: object, limit: number, depth: number): string | undefined {
  if (depth > DEPTH) return undefined;
  const kind: unknown = Object.getPrototypeOf(value);
  if (kind === Object.prototype || kind === null) return keyOfRecord(value as Fields, limit, depth);
  if (Object.getOwnPropertySymbols(value).length > 0) return undefined;
  if (kind === Array.prototype) return keyOfArray(value as readonly unknown[], limit, depth);
  if (ArrayBuffer.isView(value)) return keyOfBytes(value, kind, limit);
  if (Object.keys(value).length > 0) return undefined;
  if (kind === Date.prototype) return `D${(value as Date).getTime()}`;
  if (kind !== ArrayBuffer.prototype) return undefined;
  return keyOfBytes(new Uint8Array(value as ArrayBuffer), Uint8Array.prototype, limit, "ArrayBuffer");
}

type Fields = Readonly<Record<string, unknown>>;

function keyOfRecord(value: Fields, limit: number, depth: number): string | undefined {
  if (Object.getOwnPropertySymbols(value).length > 0) return undefined;
  let text = "{";
  for (const name of Object.keys(value).sort()) {
    if (text.length + name.length > limit) return undefined;
    const key = keyWithin(value[name], limit - text.length, depth);
    if (key === undefined) return undefined;
    text += `${JSON.stringify(name)}:${key},`;
  }
  return `${text}}`;
}

function keyOfArray(value: readonly unknown[], limit: number, depth: number): string | undefined {
  // What is too long is known without a look at it.
  if (value.length > limit || Object.keys(value).length !== value.length) return undefined;
  let text = "[";
  for (let at = 0; at < value.length; at++) {
    if (text.length > limit || !(at in value)) return undefined;
    const key = keyWithin(value[at], limit - text.length, depth);
    if (key === undefined) return undefined;
    text += `${key},`;
  }
  return `${text}]`;
}

function keyWithin(value: unknown, limit: number, depth: number): string | undefined {
  return typeof value === "object" && value !== null
    ? keyOfObject(value, limit, depth + 1)
    : keyOfValue(value, limit);
}

function keyOfBytes(
  view: ArrayBufferView,
  kind: unknown,
  limit: number,
  name: string | undefined = nameOfView(view, kind),
): string | undefined {
  if (name === undefined || view.byteLength > limit / 2) return undefined;
  let text = `${name}:`;
  for (const byte of new Uint8Array(view.buffer, view.byteOffset, view.byteLength)) {
    text += byte < 16 ? `0${byte.toString(16)}` : byte.toString(16);
  }
  return text;
}

/** The name of a typed array's own kind; `undefined` for classes built on one. */
function nameOfView(view: ArrayBufferView, kind: unknown): string | undefined {
  if (
    view instanceof DataView || Object.getPrototypeOf(kind) !== Object.getPrototypeOf(Uint8Array.prototype)
  ) {
    return undefined;
  }
  const { length } = view as Uint8Array;
  return Object.keys(view).length === length ? (view as Uint8Array)[Symbol.toStringTag] : undefined;
}

/** The longest key, in UTF-16 units. */
const KEY = 4096;

/** What tells a body apart from others of its contract; `undefined` for one that cannot be told apart. */
export function cacheKey({ key }: CachePolicy<unknown>, body: unknown): string | undefined {
  if (key === undefined) return stableKey(body, KEY);
  const text: unknown = key(body);
  return typeof text === "string" && text.length < KEY ? `=${text}` : undefined;
}
