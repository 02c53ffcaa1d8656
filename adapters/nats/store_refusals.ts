import type { Msg } from "@nats-io/nats-core";
import { CatgaError, systemFault } from "../../src/result.ts";

/** What a server says that it does not do. */
export interface ApiError {
  readonly code?: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** Those of its codes that matter here. */
export const ApiFailure: Readonly<
  Record<"noStream" | "noMessage" | "overlap" | "inUse", number>
> = {
  noStream: 10059,
  noMessage: 10037,
  overlap: 10065,
  inUse: 10058,
};

/**
 * Its codes for a write that did not find what it expected: by older servers, by several newer ones, while that is not
 * known yet, and while another of the same name is under way.
 */
export const STALE: readonly (number | undefined)[] = [10071, 10164, 10163, 10158];

/** Its codes for what it has no room for. */
const FULL: readonly (number | undefined)[] = [10023, 10026, 10028, 10047, 10054, 10077, 10122];

/** Thrown within the store, never out of it: the stream is not there, and nothing was done. */
export const LOST: unique symbol = Symbol("lost");

/** The answer of a server's interface. Throws `TRANSPORT` for what is none. */
export function readAnswer<T extends object>(message: Msg): T & { readonly error?: ApiError } {
  try {
    const answer: unknown = message.json();
    if (typeof answer === "object" && answer !== null) return answer as T;
  } catch {
    // Not an answer.
  }
  const fault = systemFault("TRANSPORT", "Cannot use the store: NATS answered with what is no JSON object");
  throw new CatgaError(fault);
}

/** A refusal as a failure: nothing was done. */
export function apiRefusal(what: string, error: ApiError | undefined): CatgaError {
  const code = FULL.includes(error?.err_code) ? "OVERLOADED" : "UNAVAILABLE";
  const reason = `${error?.description ?? "no reason"} (${error?.err_code ?? error?.code ?? "no code"})`;
  return new CatgaError(systemFault(code, `Cannot ${what}: NATS refuses it: ${reason}`));
}
