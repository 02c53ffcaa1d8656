import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";

/** An error of this adapter; its message goes into logs and holds no secret. */
export function trouble(code: SystemCode, message: string, data?: unknown): CatgaError {
  return new CatgaError(systemFault(code, message, data));
}

/**
 * Why something failed, for a log. Of errors that are not this library's own only the code is told, as the messages
 * of HTTP clients may quote headers, and so a token.
 */
export function reasonOf(error: unknown): string {
  return CatgaError.is(error) ? error.message : `it failed with ${codeOf(error)}`;
}

/** What a runtime calls an error: the code of it or of what caused it, else its name. */
export function codeOf(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const { code } = at as { readonly code?: unknown };
    if (typeof code === "string" && /^\w{1,64}$/.test(code)) return code;
  }
  return error instanceof Error && /^\w{1,64}$/.test(error.name) ? error.name : "an unknown error";
}
