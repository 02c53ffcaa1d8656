import { CatgaError, systemFault } from "../result.ts";
import type { RevisionConflict } from "./store.ts";

/** How many characters a key may have. */
const KEY = 512;
/** How many characters a value may have: less than a megabyte, however they are written. */
const VALUE = 262_144;

/** For adapter authors: what a write that expected another revision rejects with. */
export function revisionConflict(
  what: string,
  expected: number | "absent",
  found: number | "absent",
): CatgaError<"CONFLICT", RevisionConflict> {
  const message = `Cannot ${what}: expected ${shown(expected)}, found ${shown(found)}`;
  const data: RevisionConflict = { expected, found };
  return new CatgaError({ code: "CONFLICT", message, data, retryable: false });
}

/** For adapter authors: what an operation rejects with once its signal has aborted. */
export function storeCancelled(what: string): CatgaError {
  return new CatgaError(systemFault("CANCELLED", `Nobody waits any longer to ${what}`));
}

/** For adapter authors: refuses a key that no store takes. Throws `VALIDATION`. */
export function checkKey(key: string): void {
  if (key.length < 1 || key.length > KEY) {
    refuse(`Cannot use a key of ${key.length} characters: it needs 1 to ${KEY}`);
  }
  if (!key.isWellFormed()) refuse(`Cannot use the key ${JSON.stringify(key)}: it is not well-formed Unicode`);
}

/** For adapter authors: refuses a write that no store takes. Throws `VALIDATION`. */
export function checkPut(key: string, value: string, ttl: number | undefined): void {
  checkKey(key);
  if (value.length > VALUE) {
    refuse(`Cannot put "${key}": its value has ${value.length} characters, more than ${VALUE}`);
  }
  if (!value.isWellFormed()) refuse(`Cannot put "${key}": its value is not well-formed Unicode`);
  if (ttl !== undefined && !(ttl > 0 && ttl < Infinity)) {
    refuse(`Cannot put "${key}": its ttl is ${ttl}, but must be more than 0 ms`);
  }
}

/** For adapter authors: refuses a limit that is none. Throws `VALIDATION`. */
export function checkLimit(limit: number): void {
  if (Number.isSafeInteger(limit) && limit > 0) return;
  refuse(`Cannot list: the limit is ${limit}, but must be a whole number from 1 upwards`);
}

/** For adapter authors: refuses a key to list from that no store takes. Throws `VALIDATION`. */
export function checkAfter(after: string | undefined): void {
  if (after !== undefined && after !== "") checkKey(after);
}

function refuse(message: string): never {
  throw new CatgaError(systemFault("VALIDATION", message));
}

function shown(revision: number | "absent"): string {
  return revision === "absent" ? "nothing" : `revision ${revision}`;
}
