import type { SystemCode } from "../../src/result.ts";
import { isTrusted, type Schema } from "../../src/schema.ts";
import type { Route } from "../client/mod.ts";
import { type JsonSchema, SchemaWriter, type ToJsonSchema } from "./json_schema.ts";
import { ownStatus, systemStatus } from "./problem.ts";

/** What {@linkcode openapi} takes beside the table. */
export interface OpenApiOptions {
  readonly title: string;
  readonly version: string;
  readonly description?: string;
  /** Where the routes are served. */
  readonly servers?: readonly { readonly url: string; readonly description?: string }[];
  /**
   * Writes schemas that do not speak Standard JSON Schema. For valibot:
   * `(schema, side) => toJsonSchema(schema, { typeMode: side })`.
   */
  readonly toJsonSchema?: ToJsonSchema;
}

/** An OpenAPI 3.1 document, as plain data. */
export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly servers?: OpenApiOptions["servers"];
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

const PROBLEM: JsonSchema = {
  type: "object",
  description: "A failure, by RFC 9457",
  required: ["type", "title", "status", "detail", "code", "retryable"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string" },
    retryable: { type: "boolean" },
    data: {},
    reason: { type: "string" },
    retryAfter: { type: "number" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["pointer", "message"],
        properties: { pointer: { type: "string" }, message: { type: "string" } },
      },
    },
  },
};

/** Describes a table of routes as an OpenAPI 3.1 document, out of the contracts' schemas. */
export function openapi(table: readonly Route[], options: OpenApiOptions): OpenApiDocument {
  const { title, version, description, servers, toJsonSchema } = options;
  const writer = new SchemaWriter(toJsonSchema);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const entry of table) {
    const path = paths[entry.path.replace(/:(\w+)/g, "{$1}")] ??= {};
    // OpenAPI 3.1 knows no QUERY yet, but lets extensions stand there.
    path[entry.method === "QUERY" ? "x-query" : entry.method.toLowerCase()] = operation(entry, writer);
  }
  const schemas = { Problem: PROBLEM, ...writer.shared };
  const info = { title, version, ...(description === undefined ? {} : { description }) };
  return {
    openapi: "3.1.0",
    info,
    ...(servers === undefined ? {} : { servers }),
    paths,
    components: { schemas },
  };
}

function operation(entry: Route, writer: SchemaWriter): JsonSchema {
  const { contract, method, params, body } = entry;
  const bare = method === "GET" || method === "DELETE";
  const input = writer.write(contract.input, "input", `${contract.type}.input`);
  const required = namesIn(input["required"]);
  const fields = Object.entries(Object(input["properties"]) as Record<string, unknown>);
  const rest = fields.filter(([name]) => !params.includes(name));
  const given = Object.fromEntries(fields);
  const inPath = params.map((name) => ({
    ...{ name, in: "path", required: true, schema: given[name] ?? { type: "string" } },
  }));
  const inQuery = bare && body === undefined
    ? rest.map(([name, schema]) => ({ name, in: "query", required: required.includes(name), schema }))
    : [];
  const parameters = [...inPath, ...inQuery];
  return {
    operationId: contract.type,
    ...(contract.summary === undefined ? {} : { summary: contract.summary }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(bare || nothing(contract.input, input)
      ? {}
      : { requestBody: requestBody(input, params, rest, required) }),
    responses: { ...success(entry, writer), ...failures(entry, writer) },
  };
}

function requestBody(
  input: JsonSchema,
  params: readonly string[],
  rest: readonly (readonly [string, unknown])[],
  required: readonly string[],
): JsonSchema {
  const left = required.filter((name) => !params.includes(name));
  const { required: _, ...others } = input;
  const schema = input["properties"] === undefined || params.length === 0
    ? input
    : { ...others, properties: Object.fromEntries(rest), ...(left.length === 0 ? {} : { required: left }) };
  const needed = input["properties"] === undefined || left.length > 0;
  return { required: needed, content: { "application/json": { schema } } };
}

function success(entry: Route, writer: SchemaWriter): Record<string, unknown> {
  const { contract: { kind, type, output }, status } = entry;
  if (kind === "event" || kind === "reliable" || output === undefined) {
    return { [status ?? 202]: { description: "The event was taken" } };
  }
  const schema = writer.write(output as Schema, "output", `${type}.output`);
  if (kind === "stream") {
    const events = { schema: { type: "string" }, "x-item-schema": schema };
    return {
      [status ?? 200]: {
        description: "Values as server-sent events",
        content: { "text/event-stream": events },
      },
    };
  }
  if (nothing(output as Schema, schema)) return { [status ?? 204]: { description: "Done" } };
  return { [status ?? 200]: { description: "The answer", content: { "application/json": { schema } } } };
}

function failures(entry: Route, writer: SchemaWriter): Record<string, unknown> {
  const { contract } = entry;
  const byStatus = new Map<number, JsonSchema[]>();
  const add = (status: number, code: string, data: JsonSchema | undefined): void => {
    const properties = { code: { const: code }, ...(data === undefined ? {} : { data }) };
    const schema = { allOf: [{ $ref: "#/components/schemas/Problem" }, { type: "object", properties }] };
    byStatus.set(status, [...byStatus.get(status) ?? [], schema]);
  };
  const validation: SystemCode = "VALIDATION";
  if (!isTrusted(contract.input)) add(systemStatus(validation), validation, undefined);
  for (const [code, schema] of Object.entries(contract.errors)) {
    const data = writer.write(schema as Schema, "output", `${contract.type}.${code}`);
    add(ownStatus(entry, code), code, data);
  }
  const described = [...byStatus].map(([status, schemas]) => [
    status,
    problemResponse(schemas.length === 1 ? schemas[0]! : { oneOf: schemas }),
  ]);
  return {
    ...Object.fromEntries(described),
    default: problemResponse({ $ref: "#/components/schemas/Problem" }),
  };
}

function problemResponse(schema: JsonSchema): JsonSchema {
  return { description: "A failure", content: { "application/problem+json": { schema } } };
}

/** Whether a schema stands for no value at all: `v.void()` and the like. */
function nothing(schema: Schema, written: JsonSchema): boolean {
  if (isTrusted(schema) || Object.keys(written).length > 0) return false;
  const checked = schema["~standard"].validate(undefined);
  return !(checked instanceof Promise) && checked.issues === undefined;
}

function namesIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((name) => typeof name === "string") : [];
}
