import { type Fault, systemFault } from "../../src/result.ts";
import type { Contract } from "../../src/message/contract.ts";
import type { Message } from "../../src/message/message.ts";
import { fill } from "./path.ts";
import { faultOfAnswer } from "./problem.ts";
import type { Route } from "./route.ts";

/** What a client's `fetch` is called with. */
export interface RequestToSend {
  /** The method. */
  readonly method: string;
  /** The headers, by lower-case names where they are the client's own. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body, if there is one. */
  readonly body?: string;
  /** Gives the request up. */
  readonly signal?: AbortSignal;
}

/** A message as a request. */
export interface Asked {
  readonly contract: Contract;
  readonly url: string;
  readonly init: RequestToSend;
}

type Fields = Readonly<Record<string, unknown>>;

/** Writes a message as the request of its route; a fault if that cannot be done. */
export function ask(
  entry: Route | undefined,
  { type, kind, body }: Message,
  base: string,
  headers: Readonly<Record<string, string>>,
): Asked | Fault {
  if (entry === undefined) {
    return systemFault("NO_HANDLER", `Cannot send "${type}": the table has no route for it`);
  }
  const { contract, method, params } = entry;
  const fields = (typeof body === "object" && body !== null ? body : {}) as Fields;
  const path = fill(entry.path, fields);
  if (path === undefined) {
    const issues = params.filter((name) => fill(`:${name}`, fields) === undefined)
      .map((name) => ({ message: "does not fit into a path", path: [name] }));
    const message = `Cannot send "${type}": ${issues[0]?.path[0]} does not fit into the path ${entry.path}`;
    return systemFault("VALIDATION", message, { issues });
  }
  const accept = kind === "stream" ? "text/event-stream" : "application/json";
  const plain = { accept, ...headers };
  if (method === "GET" || method === "DELETE") {
    return { contract, url: base + path + queryOf(fields, params), init: { method, headers: plain } };
  }
  if (body === undefined) return { contract, url: base + path, init: { method, headers: plain } };
  try {
    const rest = params.length === 0 ? body : without(fields, params);
    const init = {
      method,
      headers: { "content-type": "application/json", ...plain },
      body: JSON.stringify(rest),
    };
    return { contract, url: base + path, init };
  } catch (thrown) {
    return systemFault("SERIALIZATION", `Cannot send "${type}": its body is not JSON`, undefined, thrown);
  }
}

/** The fault in an answer that is none of a success. */
export function readProblem(contract: Contract, status: number, text: string): Fault {
  let problem: unknown;
  try {
    problem = JSON.parse(text);
  } catch {
    problem = undefined;
  }
  return faultOfAnswer(contract, status, problem);
}

function without(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

function queryOf(fields: Fields, params: readonly string[]): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (params.includes(name) || value === undefined || value === null) continue;
    for (const item of Array.isArray(value) ? value : [value]) query.append(name, String(item));
  }
  return query.size === 0 ? "" : `?${query}`;
}
