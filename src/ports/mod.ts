/**
 * The ports: what this library needs from the world, and what an adapter author implements.
 *
 * @example
 * ```ts
 * import { systemRuntime } from "@catga/catga/ports";
 * const { clock } = systemRuntime();
 * console.log(clock.wall());
 * ```
 *
 * @module
 */
export * from "./backend.ts";
export * from "./codec.ts";
export * from "./discovery.ts";
export * from "./event_store.ts";
export * from "./event_store_faults.ts";
export * from "./queue.ts";
export * from "./queue_faults.ts";
export * from "./runtime.ts";
export * from "./storage.ts";
export * from "./store.ts";
export * from "./store_faults.ts";
export * from "./system_runtime.ts";
export * from "./transport.ts";
export * from "./with_storage.ts";
