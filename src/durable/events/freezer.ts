/** How deep data may be nested. */
const DEPTH = 64;
/** About what a value and a name take beside their characters, in bytes. */
const SLOT = 16;

interface Fresh {
  readonly object: object;
  readonly size: number;
}

/**
 * Makes plain data unchangeable where they are, without a copy. The parts that it has frozen before it knows again, so
 * that only what is new about a state is looked through.
 */
export class Freezer {
  readonly #sizes: WeakMap<object, number> = new WeakMap();
  readonly #largest: number;

  /** @param largest what takes more is left as it is, in bytes */
  constructor(largest: number) {
    this.#largest = largest;
  }

  /**
   * Freezes data and answers about how many bytes they take. What nobody could freeze as a whole is left as it is:
   * anything but plain objects, arrays and what is no object, cycles, more than 64 levels. For that it answers
   * `undefined`.
   */
  freeze(value: unknown): number | undefined {
    const fresh: Fresh[] = [];
    const size = this.#measure(value, fresh, this.#largest, 1);
    if (!(size <= this.#largest)) return undefined;
    for (const { object, size } of fresh) {
      Object.freeze(object);
      // The whole is a new one each time.
      if (object !== value) this.#sizes.set(object, size);
    }
    return size;
  }

  /** How large a value is; `Infinity` for what is unfit or takes more than is left. */
  #measure(value: unknown, fresh: Fresh[], left: number, depth: number): number {
    if (typeof value === "string") return SLOT + 2 * value.length;
    if (typeof value === "function" || typeof value === "symbol" || left < 0) return Infinity;
    if (typeof value !== "object" || value === null) return SLOT;
    const known = this.#sizes.get(value);
    if (known !== undefined) return known;
    if (depth > DEPTH || !isPlain(value)) return Infinity;
    let size = SLOT;
    for (const name of Object.keys(value)) {
      const field: unknown = (value as Readonly<Record<string, unknown>>)[name];
      size += SLOT + 2 * name.length + this.#measure(field, fresh, left - size, depth + 1);
      if (size > left) return Infinity;
    }
    fresh.push({ object: value, size });
    return size;
  }
}

function isPlain(value: object): boolean {
  const kind: unknown = Object.getPrototypeOf(value);
  return (kind === Object.prototype || kind === Array.prototype || kind === null) &&
    Object.getOwnPropertySymbols(value).length === 0;
}
