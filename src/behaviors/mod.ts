/**
 * Layers around handlers. Give them to a mediator, a single handler or a cluster node; the first one is outermost.
 *
 * @example
 * ```ts
 * import { createMediator, handle, query, type } from "@catga/catga";
 * import { circuitBreaker, log, retry, timeout } from "@catga/catga/behaviors";
 *
 * const GetPrice = query("price.get", { input: type<{ sku: string }>(), output: type<number>() });
 * const app = createMediator({
 *   handlers: [handle(GetPrice, () => 42)],
 *   behaviors: [log({ success: "off" }), timeout(500), retry(), circuitBreaker()],
 * });
 * console.log(await app.send(GetPrice({ sku: "p1" })));
 * ```
 *
 * @module
 */
export type { Behavior } from "../mediator/behavior.ts";
export * from "./bulkhead.ts";
export * from "./circuit_breaker.ts";
export * from "./fallback.ts";
export * from "./log.ts";
export * from "./metrics.ts";
export * from "./retry.ts";
export * from "./timeout.ts";
export * from "./trace.ts";
export * from "./validate.ts";
