/**
 * Contracts over HTTP on Hono: a table of routes becomes an app that answers JSON, server-sent events and
 * `application/problem+json`, with health checks and an OpenAPI document.
 *
 * @example
 * ```ts
 * import { command, createMediator, fail, handle, type } from "@catga/catga";
 * import { route, routes } from "@catga/catga/hono";
 *
 * const CreateOrder = command("orders.create", {
 *   input: type<{ sku: string; quantity: number }>(),
 *   output: type<{ id: string }>(),
 *   errors: { OUT_OF_STOCK: type<{ left: number }>() },
 * });
 * const mediator = createMediator({
 *   handlers: [handle(CreateOrder, ({ quantity }) => quantity > 3 ? fail("OUT_OF_STOCK", { left: 3 }) : { id: "1" })],
 * });
 * const app = routes(mediator, [
 *   route("POST /orders", CreateOrder, { status: 201, statuses: { OUT_OF_STOCK: 422 } }),
 * ]); // export default app
 *
 * const response = await app.request("/orders", {
 *   method: "POST",
 *   headers: { "content-type": "application/json" },
 *   body: JSON.stringify({ sku: "p1", quantity: 2 }),
 * });
 * console.log(response.status, await response.json()); // 201 { id: "1" }
 * ```
 *
 * Health checks and the endpoint that other nodes speak to are mounted beside it:
 * `app.route("/", health(node)).route("/", mount(backend))`.
 *
 * @module
 */
export { health, type HealthSource } from "./health.ts";
export type { JsonSchema, Side, ToJsonSchema } from "./json_schema.ts";
export { mount, type Mountable } from "./mount.ts";
export { openapi, type OpenApiDocument, type OpenApiOptions } from "./openapi.ts";
export { routes, type RoutesOptions } from "./routes.ts";
export {
  type CodeOf,
  type Fits,
  type IsText,
  type Method,
  type OptionsFor,
  type ParamsOf,
  type Pattern,
  type Problem,
  type ProblemIssue,
  type RequestParts,
  type Route,
  route,
  type RouteOptions,
} from "../client/mod.ts";
