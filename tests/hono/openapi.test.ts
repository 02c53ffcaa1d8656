import { describe, expect, test } from "bun:test";
import { createMediator, query } from "@catga/catga";
import { openapi, type OpenApiDocument, route, routes } from "@catga/catga/hono";
import { toJsonSchema, toStandardJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { table } from "./shop.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

const info = { title: "Shop", version: "1.0.0" };
const document: Any = openapi(table, {
  ...info,
  servers: [{ url: "https://shop.example" }],
  toJsonSchema: (schema, side) => toJsonSchema(schema, { typeMode: side }),
});

/** What OpenAPI 3.1 asks of a document, as far as ours goes; each `$ref` must lead somewhere. */
function problems(document: OpenApiDocument): string[] {
  const found: string[] = [];
  const whole: Any = document;
  const ids = new Set<string>();
  const walk = (part: Any, at: string): void => {
    if (typeof part !== "object" || part === null) return;
    if (typeof part.$ref === "string") {
      const target = part.$ref.replace("#/", "").split("/").reduce(
        (on: Any, key: string) => on?.[key],
        whole,
      );
      if (!part.$ref.startsWith("#/") || target === undefined) {
        found.push(`${at}: ${part.$ref} leads nowhere`);
      }
    }
    for (const [key, value] of Object.entries(part)) walk(value, `${at}/${key}`);
  };
  walk(document, "");
  if (!/^3\.1\.\d+$/.test(document.openapi) || !document.info.title || !document.info.version) {
    found.push("head");
  }
  for (const name of Object.keys(document.components.schemas)) {
    if (!/^[a-zA-Z0-9._-]+$/.test(name)) found.push(`component ${name}`);
  }
  for (const [path, item] of Object.entries(document.paths)) {
    if (!path.startsWith("/")) found.push(path);
    const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    for (const [method, operation] of Object.entries(item) as [string, Any][]) {
      const at = `${method} ${path}`;
      if (!/^(?:get|put|post|delete|patch|x-query)$/.test(method)) found.push(at);
      if (ids.has(operation.operationId)) found.push(`${at}: second ${operation.operationId}`);
      ids.add(operation.operationId);
      const parameters: Any[] = operation.parameters ?? [];
      const inPath = parameters.filter((each) => each.in === "path" && each.required === true && each.schema);
      if (inPath.map((each) => each.name).join() !== names.join()) found.push(`${at}: path parameters`);
      if (parameters.some((each) => !["path", "query"].includes(each.in) || !each.name)) {
        found.push(`${at}: in`);
      }
      if (method === "get" && operation.requestBody) found.push(`${at}: body`);
      for (const [status, response] of Object.entries(operation.responses) as [string, Any][]) {
        if (!/^[1-5]\d\d$|^default$/.test(status) || !response.description) found.push(`${at}: ${status}`);
      }
    }
  }
  return found;
}

describe("the OpenAPI document", () => {
  test("is a valid one and plain JSON", () => {
    expect(problems(document)).toEqual([]);
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
    expect(Object.keys(document.paths)).toEqual([
      "/orders",
      "/orders/{id}",
      "/orders/{id}/name",
      "/ping",
      "/search",
      "/count",
      "/trouble",
      "/events/seen",
      "/events/kept",
    ]);
    expect([document.openapi, document.info, document.servers])
      .toEqual(["3.1.0", info, [{ url: "https://shop.example" }]]);
  });

  test("describes a command with its body, its answer and each of its failures", () => {
    const { operationId, summary, requestBody, responses } = document.paths["/orders"].post;
    expect([operationId, summary]).toEqual(["orders.create", "Places an order"]);
    expect(requestBody).toMatchObject({ required: true });
    const body = requestBody.content["application/json"].schema;
    expect(body).toMatchObject({
      type: "object",
      required: ["sku", "quantity"],
      properties: { quantity: { type: "integer" } },
    });
    expect(body).not.toHaveProperty("$schema");
    expect(Object.keys(responses)).toEqual(["201", "409", "422", "default"]);
    expect(responses["201"].content["application/json"].schema).toMatchObject({ required: ["id"] });
    const out = responses["422"].content["application/problem+json"].schema.oneOf;
    expect(out.map((each: Any) => each.allOf[1].properties.code)).toEqual([
      { const: "VALIDATION" },
      { const: "OUT_OF_STOCK" },
    ]);
    expect(out[1].allOf[1].properties.data).toMatchObject({ properties: { left: { type: "number" } } });
  });

  test("describes path and query parameters by the input's schema", () => {
    expect(document.paths["/orders/{id}"].get.parameters).toEqual([
      { name: "id", in: "path", required: true, schema: { type: "string" } },
      { name: "expand", in: "query", required: false, schema: { type: "string" } },
    ]);
    expect(document.paths["/orders/{id}"].delete.parameters).toHaveLength(1);
    expect(document.paths["/orders"].get.parameters).toMatchObject([{
      name: "limit",
      schema: { type: "string" },
    }]);
  });

  test("describes streams, events and what takes or gives nothing", () => {
    expect(document.paths["/count"].get.responses["200"].content).toHaveProperty("text/event-stream");
    expect(document.paths["/events/seen"].post.responses).toHaveProperty("202");
    expect(document.paths["/ping"].post).not.toHaveProperty("requestBody");
  });

  test("takes schemas that speak Standard JSON Schema, and gathers what they point to", () => {
    interface Tree {
      readonly name: string;
      readonly under?: Tree[] | undefined;
    }
    const tree: v.GenericSchema<Tree> = v.object({
      name: v.string(),
      under: v.optional(v.array(v.lazy(() => tree))),
    });
    const GetTree = query("trees:get", {
      input: toStandardJsonSchema(v.object({ id: v.string() })),
      output: toStandardJsonSchema(v.object({ tree })),
    });
    const document = openapi([route("GET /trees/:id", GetTree)], info);
    expect(problems(document)).toEqual([]);
    expect(JSON.stringify(document)).not.toContain("$defs");
    expect(Object.keys(document.components.schemas).length).toBeGreaterThan(1);
  });

  test("is served on request", async () => {
    const app = routes(createMediator({ handlers: [] }), table, { openapi: info });
    expect(await (await app.request("/openapi.json")).json()).toMatchObject({ openapi: "3.1.0", info });
    expect((await routes(createMediator({ handlers: [] }), table).request("/openapi.json")).status).toBe(404);
  });
});
