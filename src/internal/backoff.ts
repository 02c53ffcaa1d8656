/**
 * How long to wait after so many failed tries, in ms: a random part of a delay that doubles up to a limit.
 *
 * @param u32 a random whole number below 2^32
 */
export function backoff(failures: number, delay: number, maxDelay: number, u32: number): number {
  return Math.min(maxDelay, delay * 2 ** Math.min(failures - 1, 30)) * (u32 / 2 ** 32);
}
