/** How a node takes reliable events. */
export interface DeliveryOptions {
  /** How many each handler works on at a time. @default 32 */
  readonly concurrency?: number | undefined;
  /** After how long, in ms, another node gets what this one has and does not speak of: at least 300. @default 30000 */
  readonly lease?: number | undefined;
  /** How long events for every node wait for this one when it is away, in ms. @default 600000 (10 min) */
  readonly away?: number | undefined;
}

/** The same with all there is. Throws a `RangeError` for numbers that cannot work. */
export function readDeliveries(
  { concurrency = 32, lease = 30_000, away = 600_000 }: DeliveryOptions = {},
): Required<Readonly<Record<keyof DeliveryOptions, number>>> {
  const refuse = (name: string, value: number, wanted: string): never => {
    throw new RangeError(`Cannot take reliable events: ${name} is ${value}, but must be ${wanted}`);
  };
  if (!(Number.isSafeInteger(concurrency) && concurrency >= 1)) {
    refuse("concurrency", concurrency, "1 or more");
  }
  if (!(lease >= 300 && lease < Infinity)) refuse("lease", lease, "300 ms or more");
  if (!(away >= lease && away < Infinity)) refuse("away", away, "no less than the lease");
  return { concurrency, lease, away };
}
