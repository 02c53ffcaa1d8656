import { type Fault, type SystemCode, systemFault } from "../../src/result.ts";
import type { Contract } from "../../src/message/contract.ts";

/** A failure on its way over HTTP, by RFC 9457 (`application/problem+json`). */
export interface Problem {
  /** Always `about:blank`: `code` says which failure it is. */
  readonly type: string;
  /** What the status means. */
  readonly title: string;
  /** The HTTP status. */
  readonly status: number;
  /** What went wrong, for a person. */
  readonly detail: string;
  /** What went wrong, for a `switch`: one of the contract's own codes or one that every call can end with. */
  readonly code: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** What the contract declares for this code. */
  readonly data?: unknown;
  /** Why it is a `CONFLICT`, by name, where there is one: such as `IDEMPOTENCY_MISMATCH`. */
  readonly reason?: string;
  /** After how long it may go better, in ms, where the one that refused it knows. */
  readonly retryAfter?: number;
  /** What a schema found wrong with the body, and where. */
  readonly errors?: readonly ProblemIssue[];
}

/** One thing wrong with a body. */
export interface ProblemIssue {
  /** A JSON pointer to it as a URI fragment: `#/items/0/sku`, or `#` for the whole body. */
  readonly pointer: string;
  /** What is wrong, for a person. */
  readonly message: string;
}

const SYSTEM: Readonly<Record<SystemCode, true>> = {
  VALIDATION: true,
  NO_HANDLER: true,
  CONFLICT: true,
  TIMEOUT: true,
  CANCELLED: true,
  UNAVAILABLE: true,
  OVERLOADED: true,
  TRANSPORT: true,
  SERIALIZATION: true,
  INTERNAL: true,
};

/** The fault that a server's answer stands for; what is no problem of ours is judged by its status. */
export function faultOfAnswer(contract: Contract, status: number, problem: unknown): Fault {
  const { code, detail, retryable, data, retryAfter, reason, errors } = Object(problem) as Partial<Problem>;
  const message = typeof detail === "string"
    ? detail
    : `"${contract.type}" was answered with status ${status}`;
  if (typeof code === "string" && Object.hasOwn(contract.errors, code)) {
    return { code, message, data, retryable: retryable === true };
  }
  const known = typeof code === "string" && Object.hasOwn(SYSTEM, code) ? code as SystemCode : undefined;
  const system = known ?? codeOfStatus(status);
  const told = typeof retryAfter === "number"
    ? { retryAfter }
    : known === "CONFLICT" && typeof reason === "string"
    ? { reason }
    : dataOf(system, known, status, errors);
  const fault = systemFault(system, message, told);
  return known !== undefined && typeof retryable === "boolean" ? { ...fault, retryable } : fault;
}

function dataOf(code: SystemCode, known: string | undefined, status: number, errors: unknown): unknown {
  if (code === "VALIDATION") return { issues: (Array.isArray(errors) ? errors : []).map(issueOf) };
  return known === undefined ? { status } : undefined;
}

/** What a status says by itself. A 5xx may come from a proxy, so the handler may have run. */
function codeOfStatus(status: number): SystemCode {
  if (status === 400 || status === 413 || status === 415 || status === 422 || status === 431) {
    return "VALIDATION";
  }
  if (status === 404 || status === 405) return "NO_HANDLER";
  if (status === 408 || status === 504) return "TIMEOUT";
  if (status === 409) return "CONFLICT";
  if (status === 429) return "OVERLOADED";
  if (status >= 400 && status < 500) return "INTERNAL";
  return "TRANSPORT";
}

function issueOf(item: unknown): { readonly message: string; readonly path: readonly (string | number)[] } {
  const { pointer, message } = Object(item) as Partial<ProblemIssue>;
  return { message: String(message ?? ""), path: typeof pointer === "string" ? keysOf(pointer) : [] };
}

function keysOf(pointer: string): (string | number)[] {
  return pointer.split("/").slice(1).map((token) => {
    const key = decoded(token).replaceAll("~1", "/").replaceAll("~0", "~");
    return /^(?:0|[1-9]\d{0,14})$/.test(key) ? Number(key) : key;
  });
}

function decoded(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}
