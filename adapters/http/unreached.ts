/** What runtimes call a connection that never came about. */
const NEVER: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED", // Node, undici, Bun
  "ConnectionRefused", // Bun before 1.4
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

interface Trouble {
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/**
 * Whether a failed request provably never left this machine: its connection was refused or its host has no address.
 *
 * The text of Deno's own `fetch` proves nothing: it sends a request again whose connection dropped, so a "Connection
 * refused" may be the second attempt's, after the first was received. `processRuntime` and `systemRuntime` send in a
 * way that it does not repeat, and say so with a code.
 */
export function neverReached(error: unknown, depth = 0): boolean {
  if (typeof error !== "object" || error === null || depth > 4) return false;
  const { code, syscall, cause, errors } = error as Trouble;
  if (NEVER.has(code) || syscall === "connect" || syscall === "getaddrinfo") return true;
  // Node tries all addresses of a host: all of them must have failed that way.
  if (Array.isArray(errors) && errors.length > 0) return errors.every((one) => neverReached(one, depth + 1));
  return neverReached(cause, depth + 1);
}
