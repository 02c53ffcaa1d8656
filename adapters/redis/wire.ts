import type { CatgaError } from "../../src/result.ts";

/** What Redis answers: texts, whole numbers, nothing, and lists of them. */
export type Reply = string | number | null | readonly Reply[];

/** The answer to one command: a reply, the error of Redis beginning with its code, or why there is none. */
export type Outcome =
  | { readonly reply: Reply }
  | { readonly error: string }
  | { readonly fault: CatgaError };

/** Carries commands to Redis and answers back. */
export interface Wire {
  /**
   * Sends all of them at once, in their order, and never again. Answers as many outcomes, whose shape is checked.
   *
   * Rejects with a `CatgaError` whose message ends a sentence that begins with "Cannot …: ", and has no secret in it.
   */
  request(commands: readonly (readonly string[])[], signal: AbortSignal): Promise<readonly Outcome[]>;
}

/** How deep replies may be nested. */
const DEPTH = 16;

/** Whether something is a reply as it should be. */
export function isReply(value: unknown, depth: number = DEPTH): value is Reply {
  if (value === null || typeof value === "string") return true;
  if (typeof value === "number") return Number.isSafeInteger(value);
  return depth > 0 && Array.isArray(value) && value.every((part) => isReply(part, depth - 1));
}
