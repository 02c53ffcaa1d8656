/** Whether two values are equal as JSON, whatever the order of their properties. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length &&
      a.every((item, at) => sameJson(item, b[at]));
  }
  const keys = keysOf(a);
  return keys.length === keysOf(b).length && keys.every((key) => Object.hasOwn(b, key) && sameAt(key, a, b));
}

/** Whether a value has all the properties of another, equal as JSON. */
export function fitsJson(value: unknown, match: unknown): boolean {
  if (typeof match !== "object" || match === null) return match === undefined || sameJson(value, match);
  if (typeof value !== "object" || value === null) return false;
  return keysOf(match).every((key) => Object.hasOwn(value, key) && sameAt(key, value, match));
}

function sameAt(key: string, a: object, b: object): boolean {
  return sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]);
}

/** What of an object JSON keeps. */
function keysOf(value: object): string[] {
  return Object.keys(value).filter((key) => (value as Record<string, unknown>)[key] !== undefined);
}
