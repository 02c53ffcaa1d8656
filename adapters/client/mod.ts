/**
 * Contracts over HTTP: a table of routes that server and clients share, and a client typed by it. It runs in browsers
 * too and depends on nothing; the server's side is `@catga/catga/hono`.
 *
 * @example
 * ```ts
 * import { command, createMediator, fail, handle, type } from "@catga/catga";
 * import { createClient, route } from "@catga/catga/client";
 * import { routes } from "@catga/catga/hono";
 *
 * const CreateOrder = command("orders.create", {
 *   input: type<{ sku: string; quantity: number }>(),
 *   output: type<{ id: string }>(),
 *   errors: { OUT_OF_STOCK: type<{ left: number }>() },
 * });
 * const api = [route("POST /orders", CreateOrder, { status: 201 })];
 *
 * const app = createMediator({
 *   handlers: [handle(CreateOrder, ({ quantity }) => quantity > 3 ? fail("OUT_OF_STOCK", { left: 3 }) : { id: "1" })],
 * });
 * const server = routes(app, api); // elsewhere: export default server
 *
 * const client = createClient(api, {
 *   baseUrl: "http://localhost:3000",
 *   fetch: (url, init) => server.request(url, init),
 * });
 * const result = await client.send(CreateOrder({ sku: "p1", quantity: 5 }));
 * if (!result.ok && result.error.code === "OUT_OF_STOCK") console.log(result.error.data.left); // 3
 * ```
 *
 * @module
 */
export type { RequestToSend } from "./ask.ts";
export { type Client, type ClientOptions, createClient, type MessageOf } from "./client.ts";
export {
  type CodeOf,
  type Fits,
  type IsText,
  type Method,
  type OptionsFor,
  type ParamsOf,
  type Pattern,
  type RequestParts,
  type Route,
  route,
  type RouteOptions,
} from "./route.ts";
export type { Problem, ProblemIssue } from "./problem.ts";
