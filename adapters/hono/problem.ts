import { CatgaError, type Fault, type SystemCode, systemFault } from "../../src/result.ts";
import type { BodyIssue } from "../../src/mediator/validate.ts";
import type { Problem, ProblemIssue, Route } from "../client/mod.ts";

/** How a failure that every call can end with is told. The fault's own message may name nodes, so it stays inside. */
interface Told {
  readonly status: number;
  readonly detail: string;
}

const SYSTEM: Readonly<Record<SystemCode, Told>> = {
  VALIDATION: { status: 422, detail: "The request does not fit the contract" },
  NO_HANDLER: { status: 404, detail: "Nothing serves this request" },
  CONFLICT: { status: 409, detail: "The request conflicts with the current state" },
  TIMEOUT: { status: 504, detail: "The request was not answered before its deadline; it may have run" },
  CANCELLED: { status: 499, detail: "The request was given up; it may have run" },
  UNAVAILABLE: { status: 503, detail: "Nothing can take the request just now; it was not started" },
  OVERLOADED: { status: 503, detail: "Too much is under way; the request was not started" },
  TRANSPORT: { status: 502, detail: "The connection to the one that serves this broke; it may have run" },
  SERIALIZATION: { status: 500, detail: "What the request was answered with cannot be sent" },
  INTERNAL: { status: 500, detail: "The request failed on the server" },
};

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  431: "Request Header Fields Too Large",
  499: "Client Closed Request",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** How long to wait before another try, in ms, where nobody knows better. */
const RETRY_AFTER = 1000;

/** The status for one of the contract's own failures. */
export function ownStatus(entry: Route, code: string): number {
  return (Object.hasOwn(entry.statuses, code) ? entry.statuses[code] : undefined) ?? 409;
}

/** The status for one of the failures that every call can end with. */
export function systemStatus(code: SystemCode): number {
  return SYSTEM[code].status;
}

/**
 * What may be told of a fault: all of the contract's own, of any other the code with a fixed text, and of a `CONFLICT`
 * the name of its reason.
 */
export function problemOf(fault: Fault, entry: Route | undefined): Problem {
  const { code, data, retryable } = fault;
  if (entry !== undefined && Object.hasOwn(entry.contract.errors, code) && code !== "INTERNAL") {
    const own = problem(ownStatus(entry, code), code, fault.message, retryable);
    return data === undefined ? own : { ...own, data };
  }
  const known = Object.hasOwn(SYSTEM, code) ? code as SystemCode : "INTERNAL";
  const { status, detail } = SYSTEM[known];
  const told = problem(status, known, detail, retryable);
  if (known === "VALIDATION") return { ...told, errors: issuesOf(data) };
  const { retryAfter, reason } = Object(data) as { readonly retryAfter?: unknown; readonly reason?: unknown };
  if (known === "CONFLICT" && isName(reason)) return { ...told, reason };
  return status === 503 && typeof retryAfter === "number" && retryAfter > 0 ? { ...told, retryAfter } : told;
}

/** A problem that HTTP itself has with a request. */
export function refusal(status: number, detail: string): Problem {
  return problem(status, status === 404 || status === 405 ? "NO_HANDLER" : "VALIDATION", detail, false);
}

/** Answers with a problem. */
export function answerProblem(told: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  const { status, text } = writeProblem(told);
  const seconds = String(Math.ceil((told.retryAfter ?? RETRY_AFTER) / 1000));
  const waits: Record<string, string> = status === 503 ? { "retry-after": seconds } : {};
  return new Response(text, {
    status,
    headers: { "content-type": "application/problem+json", ...waits, ...headers },
  });
}

/** Writes a problem; one whose data cannot be written becomes `SERIALIZATION`. */
export function writeProblem(told: Problem): { readonly status: number; readonly text: string } {
  try {
    return { status: told.status, text: JSON.stringify(told) };
  } catch {
    const instead = problemOf(systemFault("SERIALIZATION", told.code), undefined);
    return { status: instead.status, text: JSON.stringify(instead) };
  }
}

/** What was thrown, as a fault; its `cause` is for the log. */
export function faultOfThrown(thrown: unknown): Fault {
  return CatgaError.is(thrown) ? thrown : systemFault("INTERNAL", "The route failed", undefined, thrown);
}

function problem(status: number, code: string, detail: string, retryable: boolean): Problem {
  const title = TITLES[status] ?? (status < 500 ? "Request Failed" : "Server Failed");
  return { type: "about:blank", title, status, detail, code, retryable };
}

/** Whether it is the name of a reason: any other text may say what is to stay inside. */
function isName(reason: unknown): reason is string {
  return typeof reason === "string" && /^[A-Z][A-Z0-9_]{0,63}$/.test(reason);
}

function issuesOf(data: unknown): readonly ProblemIssue[] {
  const { issues } = Object(data) as { readonly issues?: readonly BodyIssue[] };
  if (!Array.isArray(issues)) return [];
  return (issues as readonly BodyIssue[]).map(({ message, path }) => ({ pointer: pointerOf(path), message }));
}

/** A place in a body as a JSON pointer in a URI fragment. */
function pointerOf(path: readonly (string | number)[]): string {
  const token = (key: string | number): string =>
    `/${encodeURIComponent(String(key).toWellFormed().replaceAll("~", "~0").replaceAll("/", "~1"))}`;
  return `#${path.map(token).join("")}`;
}
