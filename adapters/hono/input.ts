import type { HonoRequest } from "hono";
import { isTrusted, type Schema } from "../../src/schema.ts";
import type { RequestParts, Route } from "../client/mod.ts";
import { type Read, readJson } from "./body.ts";
import { refusal } from "./problem.ts";

/** Makes the body of a route's message out of a request. */
export type Input = (request: HonoRequest) => Promise<Read>;

type Fields = Record<string, unknown>;
type Query = Record<string, string | readonly string[]>;

const FIELDS = 100;
const HOSTILE: readonly string[] = ["__proto__", "constructor", "prototype"];

/** Settles for one route how the body of its message is made. */
export function inputOf(entry: Route, limit: number): Input {
  const bare = entry.method === "GET" || entry.method === "DELETE";
  const empty = acceptsNothing(entry.contract.input);
  return async (request) => {
    const params: Record<string, string> = {};
    for (const name of entry.params) params[name] = request.param(name) ?? "";
    const read: Read = bare && entry.body === undefined
      ? { json: undefined }
      : await readJson(request, limit);
    if (read.refused !== undefined) return read;
    const query = bare || entry.body !== undefined ? queryOf(request.url) : {};
    if (query === undefined) return { refused: refusal(400, "The query string is refused") };
    if (entry.body !== undefined) {
      const parts: RequestParts = { params, query, json: read.json, header: (name) => request.header(name) };
      return { json: await entry.body(parts) };
    }
    return merge(bare ? query : read.json, params, entry.params.length > 0, empty);
  };
}

/** Path over the rest. A body that is no object can only stand where the path has no parameters. */
function merge(rest: unknown, params: Fields, some: boolean, empty: boolean): Read {
  if (!some) return { json: rest === undefined || isEmpty(rest) ? (empty ? undefined : rest ?? {}) : rest };
  if (rest === undefined) return { json: params };
  if (typeof rest !== "object" || rest === null || Array.isArray(rest)) {
    return { refused: refusal(400, "The body must be a JSON object") };
  }
  return { json: { ...rest, ...params } };
}

function isEmpty(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  for (const _ in value) return false;
  return true;
}

function queryOf(url: string): Query | undefined {
  const start = url.indexOf("?");
  if (start < 0) return {};
  const query: Record<string, string | string[]> = {};
  let count = 0;
  for (const [name, value] of new URLSearchParams(url.slice(start))) {
    if (++count > FIELDS || HOSTILE.includes(name)) return undefined;
    const before = query[name];
    if (before === undefined) query[name] = value;
    else if (typeof before === "string") query[name] = [before, value];
    else before.push(value);
  }
  return query;
}

/** Whether a request that brings nothing is to give the schema `undefined` and not `{}`: `v.void()` and the like. */
function acceptsNothing(schema: Schema): boolean {
  if (isTrusted(schema)) return false;
  const takes = (value: unknown): boolean => {
    try {
      const checked = schema["~standard"].validate(value);
      return !(checked instanceof Promise) && checked.issues === undefined;
    } catch {
      return false;
    }
  };
  return !takes({}) && takes(undefined);
}
