import type { Msg } from "@nats-io/nats-core";
import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";

/** A refusal of the server's. */
export interface ApiError {
  readonly code?: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** The server's numbers for what went wrong: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
export const NO_MESSAGE = 10037;
export const NO_STREAM = 10059;
/** Another message was last; the second number is for one that is being stored just now, from 2.11 on. */
export const WRONG_SEQUENCE: ReadonlySet<number | undefined> = new Set([10071, 10164]);
/** No room, in the ways in which a server says so: of the account, of the server, of the stream, or of the disk. */
const FULL: ReadonlySet<number> = new Set([10002, 10023, 10028, 10047, 10077]);
const TOO_LARGE = 10054;

/** What a refusal is to the caller: nothing was done, unless the server did not say what happened. */
export function apiFault(what: string, error: ApiError | undefined): CatgaError {
  if (error === undefined) return fault("TRANSPORT", what, "its answer cannot be read");
  const { err_code = 0, code = 0, description = `error ${code}` } = error;
  if (FULL.has(err_code)) return fault("OVERLOADED", what, `${description}; give it more room`);
  if (err_code === TOO_LARGE) return fault("VALIDATION", what, `${description}; append fewer at a time`);
  return fault("UNAVAILABLE", what, description);
}

/** Reads an answer of the server's API. */
export function readJson<T>(answer: Msg, what: string): T {
  try {
    return answer.json<T>();
  } catch {
    throw apiFault(what, undefined);
  }
}

/** Waits for something that goes on, whatever this caller's signal says. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(storeCancelled(what));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.finally(() => signal.removeEventListener("abort", abort)).then(resolve, reject);
  });
}

function fault(code: SystemCode, what: string, why: string): CatgaError {
  return new CatgaError(systemFault(code, `Cannot ${what} events: the server says: ${why}`));
}
