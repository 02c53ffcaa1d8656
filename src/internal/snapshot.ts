/** How deep an answer may be nested. */
const DEPTH = 64;

/** Plain data that nobody can change, and about how many bytes it takes. */
export interface Snapshot {
  readonly value: unknown;
  readonly size: number;
}

/**
 * A deep frozen copy of plain data: plain objects, arrays and what is no object. The value itself stays as it is.
 * `undefined` for anything else, such as a `Date`, which nobody can freeze, for cycles, for more than 64 levels.
 *
 * @param limit the largest copy, in bytes; `undefined` is answered for what takes more
 */
export function snapshot(value: unknown, limit: number): Snapshot | undefined {
  const copy = { size: 0, limit };
  const copied = copyOf(value, copy, 1);
  return copied === UNFIT ? undefined : { value: copied, size: copy.size };
}

interface Copy {
  size: number;
  readonly limit: number;
}

const UNFIT: unique symbol = Symbol("unfit") as never;
const SLOT = 16;

function copyOf(value: unknown, copy: Copy, depth: number): unknown {
  copy.size += SLOT;
  if (typeof value === "string") copy.size += value.length * 2;
  if (copy.size > copy.limit || typeof value === "function" || typeof value === "symbol") return UNFIT;
  if (typeof value !== "object" || value === null) return value;
  if (depth > DEPTH || Object.getOwnPropertySymbols(value).length > 0) return UNFIT;
  const kind: unknown = Object.getPrototypeOf(value);
  if (kind === Array.prototype) return copyOfArray(value as readonly unknown[], copy, depth);
  if (kind !== Object.prototype && kind !== null) return UNFIT;
  const twin = (kind === null ? Object.create(null) : {}) as Record<string, unknown>;
  for (const name of Object.keys(value)) {
    copy.size += SLOT + name.length * 2;
    const field = name === "__proto__"
      ? UNFIT
      : copyOf((value as Readonly<Record<string, unknown>>)[name], copy, depth + 1);
    if (field === UNFIT) return UNFIT;
    twin[name] = field;
  }
  return Object.freeze(twin);
}

function copyOfArray(value: readonly unknown[], copy: Copy, depth: number): unknown {
  if (value.length * SLOT > copy.limit || Object.keys(value).length !== value.length) return UNFIT;
  const twin: unknown[] = [];
  for (let at = 0; at < value.length; at++) {
    const item = copyOf(value[at], copy, depth + 1);
    if (item === UNFIT) return UNFIT;
    twin.push(item);
  }
  return Object.freeze(twin);
}
