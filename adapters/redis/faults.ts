import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";

/** A header of an answer by which Redis provably got nothing. */
export const UNSENT = "catga-unsent";

/** A failure by which provably nothing was done, or whose code says what is known. */
export function notSent(code: SystemCode, what: string, why: string, data?: unknown): CatgaError {
  return new CatgaError(systemFault(code, `Cannot ${what}: ${why}`, data));
}

/** It may have been done. */
export function transport(what: string, why: string): CatgaError {
  return notSent("TRANSPORT", what, why);
}

/** The same failure, said of something else. */
export function saidOf(what: string, thrown: unknown): CatgaError {
  if (!CatgaError.is(thrown)) return transport(what, `it failed with ${codeOf(thrown)}`);
  return notSent(thrown.code as SystemCode, what, thrown.message, thrown.data);
}

/** What errors of Redis are by their first word. With each of these it has done nothing. */
const REFUSALS: Readonly<Record<string, readonly [SystemCode, string]>> = {
  OOM: ["OVERLOADED", "its memory is full. Give it more, or let it evict nothing and keep less"],
  LOADING: ["UNAVAILABLE", "it still reads its data"],
  BUSY: ["UNAVAILABLE", "a script has it busy"],
  READONLY: ["UNAVAILABLE", "it is a replica. Give the address of the primary"],
  MASTERDOWN: ["UNAVAILABLE", "its primary is away"],
  CLUSTERDOWN: ["UNAVAILABLE", "its cluster is not whole"],
  TRYAGAIN: ["UNAVAILABLE", "its cluster moves keys just now"],
  NOREPLICAS: ["UNAVAILABLE", "too few replicas are there"],
  MISCONF: ["UNAVAILABLE", "it cannot write to its disk"],
  NOAUTH: ["UNAVAILABLE", "it wants a password"],
  WRONGPASS: ["UNAVAILABLE", "it does not accept the token or password"],
  NOPERM: ["UNAVAILABLE", "the token or user may not do that"],
};

/** Whether a text is an error of Redis, as far as that can be told from it alone. */
export function isRedisError(text: string): boolean {
  const code = /^[A-Z]+(?=\s|$)/.exec(text)?.[0] ?? "";
  return Object.hasOwn(REFUSALS, code) || ["ERR", "NOSCRIPT", "WRONGTYPE"].includes(code);
}

/** The failure for an error of Redis. Of its text only the code goes into it: the rest may quote what was sent. */
export function refusedBy(error: string, what: string): CatgaError {
  const code = /^[A-Z][A-Z\d_]{1,31}(?=\s|$)/.exec(error)?.[0];
  const refusal = code !== undefined && Object.hasOwn(REFUSALS, code) ? REFUSALS[code] : undefined;
  if (refusal !== undefined) return notSent(refusal[0], what, `Redis answered ${code}, as ${refusal[1]}`);
  if (code === "NOSCRIPT") return transport(what, "Redis answered NOSCRIPT to the script itself");
  // Of Upstash, once the number of commands for a day or second is used up.
  if (/^ERR max (?:daily )?requests? limit exceeded/i.test(error)) {
    return notSent("OVERLOADED", what, "the limit of requests is reached");
  }
  if (/^ERR max request size exceeded/i.test(error)) {
    return notSent("VALIDATION", what, "it is larger than the server takes");
  }
  const line = /\buser_script:(\d{1,6})/.exec(error)?.[1];
  const where = line === undefined ? "" : ` at line ${line} of the script`;
  return notSent("INTERNAL", what, `Redis answered ${code ?? "an error"}${where}; it may have been done`);
}

/** What a runtime calls an error: its code or that of what caused it, else its name. */
export function codeOf(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const { code } = at as { readonly code?: unknown };
    if (typeof code === "string" && /^\w{1,64}$/.test(code)) return code;
  }
  return error instanceof Error && /^\w{1,64}$/.test(error.name) ? error.name : "an unknown error";
}

/** What runtimes call a connection that never came about. */
const NEVER: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Whether a request provably never left this machine. By codes alone: a text may be that of a second attempt. */
export function neverReached(error: unknown, depth = 0): boolean {
  if (typeof error !== "object" || error === null || depth > 4) return false;
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown };
  if (NEVER.has(code)) return true;
  if (Array.isArray(errors) && errors.length > 0) return errors.every((one) => neverReached(one, depth + 1));
  return neverReached(cause, depth + 1);
}
