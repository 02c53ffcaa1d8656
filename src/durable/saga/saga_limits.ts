/** How much an executor does, and how long things last, in ms. */
export interface SagaLimits {
  readonly ttl: number;
  readonly capacity: number;
  readonly retention: number;
  readonly drain: number;
}

const LIMITS: SagaLimits = { ttl: 5000, capacity: 1000, retention: 7 * 86_400_000, drain: 10_000 };
const LEAST: SagaLimits = { ttl: 100, capacity: 1, retention: 1, drain: 0 };

/** The limits that are given, and for the others what is usual. Throws a `RangeError` for one that cannot be. */
export function sagaLimits(given: { readonly [N in keyof SagaLimits]?: number | undefined }): SagaLimits {
  const names = Object.keys(LIMITS) as (keyof SagaLimits)[];
  const limits = names.map((name) => [name, given[name] ?? LIMITS[name]] as const);
  for (const [name, value] of limits) {
    if (value >= LEAST[name] && value < Infinity) continue;
    throw new RangeError(`Cannot make sagas: ${name} is ${value}, but must be ${LEAST[name]} or more`);
  }
  return Object.fromEntries(limits) as unknown as SagaLimits;
}
