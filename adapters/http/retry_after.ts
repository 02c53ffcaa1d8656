/** The longest that a gateway is believed, in ms. */
const LONGEST = 60_000;

/**
 * How long a `Retry-After` header (RFC 9110, 10.2.3) asks to wait, in ms: seconds or a date, at most a minute;
 * `undefined` for anything else.
 */
export function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return ms > 0 ? Math.min(ms, LONGEST) : undefined;
}
